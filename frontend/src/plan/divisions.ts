/** Divided layers: which devices hold which shares of a layer. Part i of `conv1` is `conv1#0`, `conv1#1`, ... */
import type { Sharding } from "@/api/types";
import { own } from "@/app/own";
import { deviceOf, placesOf, sameValue, type Content, type Rest } from "./content";

/** What is left whole when a layer has been divided, possibly again and again. */
export interface Part {
  /** `conv1#0`, or `conv1#0#1` of a part that was divided in turn. */
  name: string;
  /** The device, or the part of one, as the plan names it. */
  place: string;
  /** Of the whole layer, from 0 to 1. */
  share: number;
}

export type SplitKind = "rows" | "columns" | "grid" | "tiles" | "filters" | "inputs";

export interface Division {
  /** The places in `shards` of the shardings that divide it, outermost first. */
  shardings: readonly number[];
  kind: SplitKind;
  parts: readonly Part[];
}

export type Divisions = ReadonlyMap<string, Division>;

export function kindOf(sharding: Sharding): SplitKind {
  switch (sharding.strategy) {
    case "spatial":
      if (sharding.columns.length === 1) return "rows";
      return sharding.rows.length === 1 ? "columns" : "grid";
    case "spatial_independent":
      return "tiles";
    case "output_channels":
      return "filters";
    case "input_channels":
      return "inputs";
  }
}

/** The share of each part, in the order of `devices`; they sum to 1. */
export function sharesOf(sharding: Sharding): number[] {
  const numbers = numbersOf(sharding);
  const sum = numbers.reduce((total, number) => total + number, 0);
  return sharding.devices.map((_, i) => (numbers[i] ?? 0) / (sum || 1));
}

function numbersOf(sharding: Sharding): number[] {
  if ("rows" in sharding) return sharding.rows.flatMap((height) => sharding.columns.map((width) => height * width));
  return sharding.shares.length > 0 ? sharding.shares : sharding.devices.map(() => 1);
}

const known = new WeakMap<readonly Sharding[], Divisions>();

/** Every divided layer of a list of shardings; the same object for the same list. */
export function divisionsOf(shards: readonly Sharding[]): Divisions {
  let divisions = known.get(shards);
  if (!divisions) known.set(shards, (divisions = divideAll(shards)));
  return divisions;
}

interface Open {
  shardings: number[];
  kind: SplitKind;
  parts: Part[];
}

function divideAll(shards: readonly Sharding[]): Divisions {
  const divisions = new Map<string, Open>();
  const owners = new Map<string, string>();
  shards.forEach((sharding, index) => {
    const shares = sharesOf(sharding);
    const cut = (name: string, whole: number): Part[] =>
      sharding.devices.map((place, i) => ({ name: `${name}#${i}`, place, share: whole * (shares[i] ?? 0) }));
    for (const name of new Set(sharding.layers)) {
      const layer = owners.get(name) ?? name;
      const division = divisions.get(layer);
      const parts = cut(name, division?.parts.find((part) => part.name === name)?.share ?? 1);
      if (division) {
        division.parts = division.parts.flatMap((part) => (part.name === name ? parts : [part]));
        division.shardings.push(index);
      } else divisions.set(layer, { shardings: [index], kind: kindOf(sharding), parts });
      for (const part of parts) owners.set(part.name, layer);
    }
  });
  return divisions;
}

/** The whole layers that each sharding touches, by its place. */
export function touchedLayers(shards: readonly Sharding[]): ReadonlyMap<number, readonly string[]> {
  const touched = new Map<number, string[]>(shards.map((_, index) => [index, []]));
  for (const [layer, { shardings }] of divisionsOf(shards)) for (const index of shardings) touched.get(index)?.push(layer);
  return touched;
}

/** A sharding and those that divide what it made, by their places. */
export function withDependents(shards: readonly Sharding[], removed: ReadonlySet<number>): Set<number> {
  const all = new Set(removed);
  const gone = new Set<string>();
  shards.forEach(({ layers, devices }, index) => {
    if (layers.some((layer) => gone.has(layer))) all.add(index);
    if (all.has(index)) for (const layer of layers) devices.forEach((_, i) => gone.add(`${layer}#${i}`));
  });
  return all;
}

/** The layer of the network that a layer of the divided network comes from; null for what only joins or cuts. */
export function wholeLayer(name: string, exists: (layer: string) => boolean): string | null {
  for (let rest = name; ; rest = rest.slice(0, rest.lastIndexOf("#"))) {
    if (exists(rest)) return rest;
    if (!rest.includes("#")) return null;
  }
}

/** The places of a layer as the plan names them, replicas each; none when it is unplaced. */
export function placesOfLayer(content: Content, layer: string): readonly string[] {
  const division = divisionsOf(content.shards).get(layer);
  if (division) return [...new Set(division.parts.map(({ place }) => place))];
  const place = own(content.placement, layer);
  return place === undefined ? [] : placesOf(content, place);
}

/** The same of any node of the graph: inputs and outputs are the studio's. */
export const placesOfNode = (content: Content, { kind, name }: { kind: string; name: string }): readonly string[] => (kind === "layer" ? placesOfLayer(content, name) : ["studio"]);

/** The devices of a layer, each once; none when it is unplaced. */
export function devicesOfLayer(content: Content, layer: string): readonly string[] {
  return [...new Set(placesOfLayer(content, layer).map((place) => deviceOf(content, place)))];
}

/** All devices that the plan uses. */
export function devicesOfPlan(content: Content): Set<string> {
  const places = [...Object.values(content.placement), ...content.shards.flatMap(({ devices }) => devices)];
  return new Set(places.flatMap((place) => placesOf(content, place)).map((place) => deviceOf(content, place)));
}

/** A sharding in one word; the order in which its fields were written says nothing. */
function spelled(sharding: Sharding): string {
  const { strategy, layers, devices, unit } = sharding;
  const numbers = "rows" in sharding ? [sharding.rows, sharding.columns] : [sharding.shares];
  return JSON.stringify([strategy, layers, devices, unit, numbers, "exchange_before" in sharding ? sharding.exchange_before : []]);
}

/** Where a layer is, in one comparable word: equal exactly when nothing about it differs. */
export function whereabouts({ placement, shards }: Pick<Content, "placement" | "shards">, layer: string): string {
  const division = divisionsOf(shards).get(layer);
  return division ? division.shardings.flatMap((index) => shards[index] ?? []).map(spelled).join(" ") : (own(placement, layer) ?? "");
}

/** What of a plan besides its layers changes how it runs. */
const SETTINGS = ["resources", "replicas", "codecs", "max_change", "micro_batch"] as const satisfies readonly (keyof Rest)[];

/** How many of these settings differ. */
export const countSettings = (a: Pick<Rest, (typeof SETTINGS)[number]>, b: Pick<Rest, (typeof SETTINGS)[number]>): number => SETTINGS.filter((name) => !sameValue(a[name], b[name])).length;

/** How many layers are placed or divided otherwise. */
export function countDifferences(a: Pick<Content, "placement" | "shards">, b: Pick<Content, "placement" | "shards">): number {
  const layers = new Set([a, b].flatMap(({ placement, shards }) => [...Object.keys(placement), ...divisionsOf(shards).keys()]));
  return [...layers].filter((layer) => whereabouts(a, layer) !== whereabouts(b, layer)).length;
}
