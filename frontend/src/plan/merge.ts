/**
 * Two windows have edited one plan: what they did since the content both began with, put together. Pure.
 *
 * A plan falls into units that stand for themselves: a layer; layers that any of the versions divides together; each
 * setting, and each entry of those settings that are lists of named things. What one side left as it was is taken from
 * the other. What both changed, and not alike, contradicts: it is told, and one side is taken as the caller says.
 */
import type { CodecChoice, Sharding } from "@/api/types";
import { own } from "@/app/own";
import { placesOf, sameValue, type Content, type Rest } from "./content";
import { divisionsOf, touchedLayers, whereabouts } from "./divisions";

export type Side = "base" | "mine" | "theirs";
type Versions<T> = Readonly<Record<Side, T>>;

/** A unit that both sides changed, and not alike. */
export interface Conflict {
  /** The same for the same unit, as long as it is one. */
  key: string;
  /** Empty: it is a setting. */
  layers: readonly string[];
  setting: { name: keyof Rest; entry: string | null } | null;
}

export interface Merged {
  content: Content;
  conflicts: readonly Conflict[];
}

/** Which side's a unit is; null where both say the same. */
type Verdict = Side | "conflict" | null;
type Decide = (verdict: Verdict, conflict: Conflict) => Side;

const SIDES = ["base", "mine", "theirs"] as const satisfies readonly Side[];
const each = <T, U>({ base, mine, theirs }: Versions<T>, map: (value: T) => U): Versions<U> => ({ base: map(base), mine: map(mine), theirs: map(theirs) });

function judge<T>({ base, mine, theirs }: Versions<T>, same: (a: T, b: T) => boolean): Verdict {
  if (same(mine, theirs)) return null;
  if (same(mine, base)) return "theirs";
  return same(theirs, base) ? "mine" : "conflict";
}

/** Put two versions together; of what contradicts, `choose` says which side is taken. */
export function merge(base: Content, mine: Content, theirs: Content, choose: (conflict: Conflict) => Side = () => "mine"): Merged {
  const conflicts: Conflict[] = [];
  const used = new Set<Side>();
  const versions = { base, mine, theirs };
  const content = combine(versions, (verdict, conflict) => {
    if (verdict === "conflict") conflicts.push(conflict);
    const side = verdict === "conflict" ? choose(conflict) : (verdict ?? "mine");
    if (verdict !== null) used.add(side);
    return side;
  });
  // What is wholly of one side has every name that it ever had.
  return { content: used.size > 1 ? withNames(content, versions) : content, conflicts };
}

/** What both sides begin with from now on: theirs, and what was there before wherever it still contradicts. */
export function agreed(base: Content, mine: Content, theirs: Content): Content {
  return combine({ base, mine, theirs }, (verdict) => (verdict === "conflict" ? "base" : "theirs"));
}

function combine(versions: Versions<Content>, decide: Decide): Content {
  return { ...combineLayers(versions, decide), rest: combineRest(each(versions, ({ rest }) => rest), decide) };
}

// Layers

/** Layers that one of the versions divides together, by any one of them. */
function groupLayers(versions: Versions<Content>): (layer: string) => string {
  const parents = new Map<string, string>();
  const rootOf = (layer: string): string => {
    const parent = parents.get(layer);
    if (parent === undefined) return layer;
    const root = rootOf(parent);
    parents.set(layer, root);
    return root;
  };
  for (const side of SIDES) {
    for (const [first, ...others] of touchedLayers(versions[side].shards).values()) {
      for (const other of first === undefined ? [] : others) {
        const [a, b] = [rootOf(first ?? ""), rootOf(other)];
        if (a !== b) parents.set(b, a);
      }
    }
  }
  return rootOf;
}

function combineLayers(versions: Versions<Content>, decide: Decide): Pick<Content, "placement" | "shards"> {
  const rootOf = groupLayers(versions);
  const groups = Map.groupBy(new Set(SIDES.flatMap((side) => [...Object.keys(versions[side].placement), ...divisionsOf(versions[side].shards).keys()])), rootOf);
  const sides = new Map<string, Side>();
  const either = new Set<string>();
  const placement = new Map(Object.entries(versions.theirs.placement));
  for (const [root, layers] of groups) {
    const said = each(versions, (content) => layers.map((layer) => `${whereabouts(content, layer)}\0${own(content.placement, layer) ?? ""}`).join("\n"));
    const verdict = judge(said, (a, b) => a === b);
    const side = decide(verdict, { key: `layers ${[...layers].sort().join("\n")}`, layers: layers.filter((layer) => differ(versions, layer)), setting: null });
    sides.set(root, side);
    if (verdict === null) either.add(root);
    if (side === "theirs") continue;
    for (const layer of layers) {
      const place = own(versions[side].placement, layer);
      if (place === undefined) placement.delete(layer);
      else placement.set(layer, place);
    }
  }
  const owner = (side: Side) => {
    const touched = touchedLayers(versions[side].shards);
    return (index: number): string => rootOf(touched.get(index)?.[0] ?? "");
  };
  const shards = inOrder(each(versions, (content) => content.shards), owner, (root) => (either.has(root) ? null : (sides.get(root) ?? null)));
  return { placement: Object.fromEntries(placement), shards };
}

const differ = ({ mine, theirs }: Versions<Content>, layer: string): boolean => whereabouts(mine, layer) !== whereabouts(theirs, layer);

/** Of three lists the items of the sides they are taken from (null: either), in an order that all of them know. */
function inOrder<T>(lists: Versions<readonly T[]>, owner: (side: Side) => (index: number) => string, sideOf: (owner: string) => Side | null): readonly T[] {
  const taken = (side: Side) => {
    const ownerOf = owner(side);
    return lists[side].map((item, index) => ({ item, from: sideOf(ownerOf(index)) }));
  };
  for (const side of ["mine", "theirs", "base"] as const) {
    const others = SIDES.filter((other) => other !== side).flatMap((other) => taken(other).filter(({ from }) => from === other));
    if (others.length === 0 && taken(side).every(({ from }) => from === null || from === side)) return lists[side];
  }
  const first = taken("theirs").filter(({ from }) => from === null || from === "theirs");
  const more = (["mine", "base"] as const).flatMap((side) => taken(side).filter(({ from }) => from === side));
  return [...first, ...more].map(({ item }) => item);
}

// Settings

/** Settings that are lists of named things: each entry is a unit. */
const NAMED = ["blocks", "resources", "replicas"] as const satisfies readonly (keyof Rest)[];
type Named = (typeof NAMED)[number];
const isNamed = (name: keyof Rest): name is Named => NAMED.some((named) => named === name);

function combineRest(versions: Versions<Rest>, decide: Decide): Rest {
  const names = new Set(SIDES.flatMap((side) => Object.keys(versions[side]))) as Set<keyof Rest>;
  const rest: Partial<Record<keyof Rest, unknown>> = {};
  for (const name of names) {
    const values = each(versions, (one) => one[name]) as Versions<unknown>;
    if (isNamed(name)) rest[name] = combineNamed(name, each(versions, (one): Readonly<Record<string, unknown>> => one[name]), decide);
    else if (name === "codecs") rest[name] = combineCodecs(each(versions, ({ codecs }) => codecs), decide);
    else {
      const side = decide(judge(values, sameValue), settingConflict(name, null));
      if (values[side] !== undefined) rest[name] = values[side];
    }
  }
  return rest as Rest;
}

const settingConflict = (name: keyof Rest, entry: string | null): Conflict => ({ key: `setting ${name}${entry === null ? "" : ` ${entry}`}`, layers: [], setting: { name, entry } });

function combineNamed<T>(name: Named, versions: Versions<Readonly<Record<string, T>>>, decide: Decide): Record<string, T> {
  const entries = new Set(SIDES.flatMap((side) => Object.keys(versions[side])));
  const result = new Map<string, T>();
  for (const entry of entries) {
    const values = each(versions, (record) => own(record, entry));
    const value = values[decide(judge(values, sameValue), settingConflict(name, entry))];
    if (value !== undefined) result.set(entry, value);
  }
  return Object.fromEntries(result);
}

const scopeOf = ({ producer, consumer, tensors }: CodecChoice): string => JSON.stringify([producer, consumer, [...tensors].sort()]);

/** A later entry goes before an earlier one where both speak of a tensor, so lists are put together only where entries say exactly of which. */
function combineCodecs(versions: Versions<readonly CodecChoice[]>, decide: Decide): CodecChoice[] {
  const records = each(versions, (list) => new Map(list.map((choice) => [scopeOf(choice), choice])));
  const whole = judge(versions, sameValue);
  const vague = SIDES.some((side) => records[side].size !== versions[side].length || versions[side].some((choice) => loose(choice) && !versions.base.some((old) => sameValue(old, choice))));
  if (whole !== "conflict" || vague) return [...versions[decide(whole, settingConflict("codecs", null))]];
  const sides = new Map<string, Side | null>();
  for (const scope of new Set(SIDES.flatMap((side) => [...records[side].keys()]))) {
    const verdict = judge(each(records, (record) => record.get(scope)), sameValue);
    const side = decide(verdict, settingConflict("codecs", scope));
    sides.set(scope, verdict === null ? null : side);
  }
  const owner = (side: Side) => (index: number) => scopeOf(versions[side][index] as CodecChoice);
  return [...inOrder<CodecChoice>(versions, owner, (scope) => sides.get(scope) ?? null)];
}

const loose = ({ producer, consumer, tensors }: CodecChoice): boolean => producer === "*" || consumer === "*" || tensors.length === 0;

/** One side may have taken a name away that layers of the other are still put on: then it stays. */
function withNames(content: Content, versions: Versions<Content>): Content {
  const places = [...Object.values(content.placement), ...content.shards.flatMap(({ devices }: Sharding) => devices)];
  const replicas = withUsed(content.rest.replicas, places, each(versions, ({ rest }) => rest.replicas));
  const members = places.flatMap((place) => placesOf({ rest: { ...content.rest, replicas } }, place));
  const resources = withUsed(content.rest.resources, members, each(versions, ({ rest }) => rest.resources));
  return { ...content, rest: { ...content.rest, replicas, resources } };
}

function withUsed<T>(record: Record<string, T>, used: readonly string[], versions: Versions<Record<string, T>>): Record<string, T> {
  const missing = [...new Set(used)].filter((name) => !Object.hasOwn(record, name));
  const found = missing.flatMap((name) => {
    const holder = (["mine", "theirs", "base"] as const).find((side) => Object.hasOwn(versions[side], name));
    return holder === undefined ? [] : [[name, versions[holder][name] as T] as const];
  });
  return found.length === 0 ? record : { ...record, ...Object.fromEntries(found) };
}
