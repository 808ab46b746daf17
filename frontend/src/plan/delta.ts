/** Plan edits as data: each knows how to be done and undone. */
import type { Sharding } from "@/api/types";
import { own } from "@/app/own";
import { sameValue, type Content, type Placement, type Rest } from "./content";
import { divisionsOf, sharesOf, touchedLayers, withDependents } from "./divisions";

export interface Change {
  layer: string;
  from: string | null;
  to: string | null;
}

interface Swap<T> {
  from: T;
  to: T;
}

/** One step of the history, however it was done. */
export interface PlanDelta {
  kind: "assign" | "divide" | "undivide" | "replace";
  label: string;
  changes: readonly Change[];
  shards: Swap<readonly Sharding[]> | null;
  rest: Swap<Rest> | null;
}

function changesTo(placement: Placement, target: ReadonlyMap<string, string | null>): Change[] {
  return [...target].map(([layer, to]) => ({ layer, from: own(placement, layer) ?? null, to })).filter(({ from, to }) => from !== to);
}

const swap = <T>(from: T, to: T): Swap<T> | null => (sameValue(from, to) ? null : { from, to });

function made(kind: PlanDelta["kind"], label: string, content: Content, target: ReadonlyMap<string, string | null>, shards = content.shards, rest = content.rest): PlanDelta | null {
  const delta = { kind, label, changes: changesTo(content.placement, target), shards: swap(content.shards, shards), rest: swap(content.rest, rest) };
  return delta.changes.length === 0 && !delta.shards && !delta.rest ? null : delta;
}

interface Undivided {
  shards: readonly Sharding[];
  removed: ReadonlySet<number>;
  /** Layers that are whole again, each with the device that held most of it. */
  freed: ReadonlyMap<string, string>;
}

/** Take shardings away, and with them those that divide what they made. */
function undivided(shards: readonly Sharding[], places: ReadonlySet<number>): Undivided {
  const removed = withDependents(shards, places);
  const kept = shards.filter((_, index) => !removed.has(index));
  const divided = divisionsOf(kept);
  const freed = new Map<string, string>();
  for (const [layer, { shardings }] of divisionsOf(shards)) {
    const outermost = shards[shardings[0] ?? -1];
    if (outermost && !divided.has(layer)) freed.set(layer, largestHolder(outermost));
  }
  return { shards: kept, removed, freed };
}

/** The device with the largest part; the first of equals. */
function largestHolder(sharding: Sharding): string {
  const totals = new Map<string, number>();
  sharesOf(sharding).forEach((share, i) => {
    const device = sharding.devices[i] ?? "";
    totals.set(device, (totals.get(device) ?? 0) + share);
  });
  return [...totals].reduce((best, entry) => (entry[1] > best[1] + 1e-9 ? entry : best), ["", 0])[0];
}

function shardingsOf(shards: readonly Sharding[], layers: ReadonlySet<string>): Set<number> {
  const touched = touchedLayers(shards);
  return new Set([...touched].filter(([, whole]) => whole.some((layer) => layers.has(layer))).map(([index]) => index));
}

/**
 * The edit that puts layers onto a device (null: takes them off), leaving out those already there.
 * A divided layer is whole again afterwards: its sharding goes, and the layers that were divided with it follow.
 */
export function assign(content: Content, layers: readonly string[], device: string | null, label: string): PlanDelta | null {
  const { shards, freed } = undivided(content.shards, shardingsOf(content.shards, new Set(layers)));
  const target = new Map([...layers, ...freed.keys()].map((layer) => [layer, device]));
  return made("assign", label, content, target, shards);
}

/** The edit that divides whole layers; what divided any of them before goes. */
export function divide(content: Content, sharding: Sharding, label: string): PlanDelta | null {
  const mine = new Set(sharding.layers);
  const { shards, removed, freed } = undivided(content.shards, shardingsOf(content.shards, mine));
  const target = new Map<string, string | null>([...freed].filter(([layer]) => !mine.has(layer)));
  for (const layer of mine) target.set(layer, null);
  const place = content.shards.findIndex((_, index) => removed.has(index));
  const before = place < 0 ? shards.length : place;
  return made("divide", label, content, target, [...shards.slice(0, before), sharding, ...shards.slice(before)]);
}

/** The edit that takes the sharding at a place away: each layer goes to the device that held most of it. */
export function undivide(content: Content, place: number, label: string): PlanDelta | null {
  const { shards, freed } = undivided(content.shards, new Set([place]));
  return made("undivide", label, content, freed, shards);
}

/** The edit that makes the content equal to `target`. */
export function replaceBy(content: Content, target: Content, label: string): PlanDelta | null {
  const layers = new Set([...Object.keys(content.placement), ...Object.keys(target.placement)]);
  const placement = new Map([...layers].map((layer) => [layer, own(target.placement, layer) ?? null]));
  return made("replace", label, content, placement, target.shards, target.rest);
}

export function apply(content: Content, { changes, shards, rest }: PlanDelta): Content {
  return {
    placement: changes.length === 0 ? content.placement : moved(content.placement, changes),
    shards: shards ? shards.to : content.shards,
    rest: rest ? rest.to : content.rest,
  };
}

/** Copied as a whole: engines do that a thousand times faster than entry by entry. */
function moved(placement: Placement, changes: readonly Change[]): Placement {
  const added = changes.flatMap(({ layer, to }) => (to === null ? [] : [[layer, to] as const]));
  const copy: Record<string, string> = { ...placement, ...Object.fromEntries(added) };
  for (const { layer, to } of changes) if (to === null) Reflect.deleteProperty(copy, layer);
  return copy;
}

const turned = <T>(change: Swap<T> | null): Swap<T> | null => change && { from: change.to, to: change.from };

export function invert(delta: PlanDelta): PlanDelta {
  const changes = delta.changes.map(({ layer, from, to }) => ({ layer, from: to, to: from }));
  return { ...delta, changes, shards: turned(delta.shards), rest: turned(delta.rest) };
}

/** Many edits, one after the other, as one that does the same; null where they come out even. The last one's label names it. */
export function composeAll(deltas: readonly PlanDelta[]): PlanDelta | null {
  const last = deltas.at(-1);
  if (!last) return null;
  const changes = new Map<string, Change>();
  for (const delta of deltas) {
    for (const { layer, from, to } of delta.changes) changes.set(layer, { layer, from: (changes.get(layer) ?? { from }).from, to });
  }
  const kind = deltas.every((delta) => delta.kind === last.kind) ? last.kind : "replace";
  const left = [...changes.values()].filter(({ from, to }) => from !== to);
  const whole = { kind, label: last.label, changes: left, shards: ends(deltas.map(({ shards }) => shards)), rest: ends(deltas.map(({ rest }) => rest)) };
  return left.length === 0 && !whole.shards && !whole.rest ? null : whole;
}

export const compose = (first: PlanDelta, second: PlanDelta): PlanDelta | null => composeAll([first, second]);

/** From where the first one began to where the last one came. */
function ends<T>(swaps: readonly (Swap<T> | null)[]): Swap<T> | null {
  const [first, last] = [swaps.find((one) => one !== null), swaps.findLast((one) => one !== null)];
  return first && last ? swap(first.from, last.to) : null;
}

/** The shardings that a step takes away. */
export function takenAway({ shards }: PlanDelta): readonly Sharding[] {
  return shards ? shards.from.filter((sharding) => !shards.to.includes(sharding)) : [];
}

/** How many layers a step moves, divides or makes whole. */
export function layersTouched(delta: PlanDelta): number {
  const { changes, shards } = delta;
  const changed = shards ? [...touchedIn(shards.from, shards.to), ...touchedIn(shards.to, shards.from)] : [];
  return new Set([...changes.map(({ layer }) => layer), ...changed]).size;
}

function touchedIn(shards: readonly Sharding[], others: readonly Sharding[]): string[] {
  return [...touchedLayers(shards)].filter(([index]) => !others.some((other) => sameValue(other, shards[index]))).flatMap(([, layers]) => layers);
}
