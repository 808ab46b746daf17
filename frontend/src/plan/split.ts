/** From what a person asks for when splitting layers to the plan's sharding, and back. */
import { at, type Network } from "@/graph/network";
import type { PlanProblem, Sharding } from "@/api/types";
import { kindOf, type SplitKind } from "./divisions";

export const MIN_PARTS = 2;
export const MAX_PARTS = 16;

export interface Weighted {
  place: string;
  weight: number;
}

export interface SplitChoice {
  kind: SplitKind;
  /** In the order of the parts. */
  parts: readonly Weighted[];
  /** For tiles: heights of the rows of tiles, and widths of the columns. */
  heights: readonly number[];
  widths: readonly number[];
  /** Whether neighbours exchange halos before every convolution; otherwise halos are computed twice. */
  exchange: boolean;
}

/** The ways to lay out that many tiles: rows times columns, flat ones last. */
export function gridShapes(count: number): readonly (readonly [rows: number, columns: number])[] {
  const shapes: [number, number][] = [];
  for (let rows = 1; rows <= count; rows += 1) if (count % rows === 0) shapes.push([rows, count / rows]);
  return shapes.sort(([a, b], [c, d]) => Math.abs(a - b) - Math.abs(c - d) || c - a || b - d);
}

export const hasTiles = (kind: SplitKind): boolean => kind === "grid" || kind === "tiles";
export const hasHalos = (kind: SplitKind): boolean => kind === "rows" || kind === "columns" || kind === "grid";

/** What a part weighs until the person says otherwise: the middle of the slider, so that it can become less and more. */
export const MIDDLE_WEIGHT = 5;
export const MOST_WEIGHT = 10;

/** Make a list as long as it must be. */
export const resized = (weights: readonly number[], length: number): number[] => Array.from({ length }, (_, i) => weights[i] ?? MIDDLE_WEIGHT);

/** Weights as whole per cent that sum to 100, each at least one: what is lost by rounding goes where most was lost. */
export function percents(weights: readonly number[]): number[] {
  return dealt(100, weights);
}

/** Deal a whole number out in proportion, at least one to each. */
function dealt(whole: number, weights: readonly number[]): number[] {
  const sum = weights.reduce((total, weight) => total + weight, 0) || 1;
  const wanted = weights.map((weight) => (whole * weight) / sum);
  const result = wanted.map((share) => Math.max(1, Math.floor(share)));
  const left = () => whole - result.reduce((total, share) => total + share, 0);
  const worst = (of: (place: number) => number) => wanted.reduce((best, _, place) => (of(place) > of(best) ? place : best), 0);
  while (left() > 0) {
    const place = worst((one) => (wanted[one] ?? 0) - (result[one] ?? 0));
    result[place] = (result[place] ?? 0) + 1;
  }
  while (left() < 0) {
    const place = worst((one) => ((result[one] ?? 0) > 1 ? (result[one] ?? 0) - (wanted[one] ?? 0) : -Infinity));
    result[place] = (result[place] ?? 0) - 1;
  }
  return result;
}

/** Give one part so many per cent; the others share the rest as they did, and all sum to 100. */
export function relinked(weights: readonly number[], place: number, percent: number): number[] {
  const others = weights.filter((_, i) => i !== place);
  if (others.length === 0) return [100];
  const mine = Math.min(100 - others.length, Math.max(1, Math.round(percent)));
  const rest = dealt(100 - mine, others);
  return [...rest.slice(0, place), mine, ...rest.slice(place)];
}

/** Shares by how fast each place computes these layers, in per cent; or which places nothing is known of. */
export function sharesBySpeed(layers: readonly string[], devices: readonly string[], costs: ReadonlyMap<string, ReadonlyMap<string, { seconds: number }>>): { shares: number[] } | { unknown: string[] } {
  const seconds = devices.map((device) => layers.reduce((sum, layer) => sum + (costs.get(device)?.get(layer)?.seconds ?? NaN), 0));
  const unknown = devices.filter((_, i) => !((seconds[i] ?? NaN) > 0));
  return unknown.length > 0 ? { unknown: [...new Set(unknown)] } : { shares: percents(seconds.map((time) => 1 / time)) };
}

const divisor = (a: number, b: number): number => (b === 0 ? a : divisor(b, a % b));

/** The same proportions in the smallest whole numbers; broken ones are left alone. */
function simplest(weights: readonly number[]): number[] {
  const common = weights.every(Number.isInteger) ? weights.reduce(divisor, 0) : 1;
  return weights.map((weight) => weight / common);
}

/** The same proportions, moved to the middle of the slider where they fit. */
function spreadOut(weights: readonly number[]): number[] {
  const factor = Math.max(1, Math.floor((MIDDLE_WEIGHT * weights.length) / weights.reduce((sum, weight) => sum + weight, 0)));
  return Math.max(...weights) * factor > MOST_WEIGHT ? [...weights] : weights.map((weight) => weight * factor);
}

/** Why this cannot be asked of the studio yet; null when it can. */
export function incomplete({ kind, parts, heights, widths }: SplitChoice): string | null {
  if (parts.length < MIN_PARTS) return "Choose at least two devices.";
  if (parts.length > MAX_PARTS) return `Choose at most ${MAX_PARTS} devices.`;
  if (hasTiles(kind) && heights.length * widths.length !== parts.length) return `${heights.length} × ${widths.length} tiles need ${heights.length * widths.length} devices.`;
  if (kind === "grid" && (heights.length === 1 || widths.length === 1)) return "A grid needs 4, 6, 8 or another number of devices that makes rows and columns.";
  return null;
}

/** The layers before which a run can exchange halos: its convolutions that another layer of the run feeds. */
export function exchangePoints(network: Network, nodes: readonly number[]): string[] {
  const mine = new Set(nodes);
  return nodes
    .filter((node) => at(network.nodes, node).op === "Conv" && at(network.incoming, node).some((edge) => mine.has(at(network.edges, edge).from)))
    .map((node) => at(network.nodes, node).name);
}

/** The entry of the plan. `points` are the layers to exchange halos before, where that is chosen. */
export function shardingFrom({ kind, parts, heights, widths, exchange }: SplitChoice, layers: readonly string[], points: readonly string[]): Sharding {
  const base = { layers: [...layers], devices: parts.map(({ place }) => place), unit: "share" as const };
  const weights = simplest(parts.map(({ weight }) => weight));
  const exchange_before = exchange ? [...points] : [];
  switch (kind) {
    case "rows":
      return { ...base, strategy: "spatial", rows: weights, columns: [1], exchange_before };
    case "columns":
      return { ...base, strategy: "spatial", rows: [1], columns: weights, exchange_before };
    case "grid":
      return { ...base, strategy: "spatial", rows: simplest(heights), columns: simplest(widths), exchange_before };
    case "tiles":
      return { ...base, strategy: "spatial_independent", rows: simplest(heights), columns: simplest(widths) };
    case "filters":
      return { ...base, strategy: "output_channels", shares: weights };
    case "inputs":
      return { ...base, strategy: "input_channels", shares: weights };
  }
}

/** What a person would have asked for to get this sharding. */
export function choiceFrom(sharding: Sharding): SplitChoice {
  const kind = kindOf(sharding);
  const tiles = "rows" in sharding;
  const numbers = tiles ? (kind === "rows" ? sharding.rows : kind === "columns" ? sharding.columns : []) : sharding.shares;
  const weights = spreadOut(resized(numbers.length > 0 ? numbers : sharding.devices.map(() => 1), sharding.devices.length));
  return {
    kind,
    parts: sharding.devices.map((place, i) => ({ place, weight: weights[i] ?? MIDDLE_WEIGHT })),
    heights: tiles ? spreadOut(sharding.rows) : [MIDDLE_WEIGHT],
    widths: tiles ? spreadOut(sharding.columns) : [MIDDLE_WEIGHT],
    exchange: "exchange_before" in sharding && sharding.exchange_before.length > 0,
  };
}

/** Errors that a change brings: those that the plan did not have before it. */
export function newErrors(before: readonly PlanProblem[], after: readonly PlanProblem[]): PlanProblem[] {
  const key = ({ code, message, layer, device }: PlanProblem) => JSON.stringify([code, message, layer, device]);
  const known = new Set(before.map(key));
  return after.filter((problem) => problem.severity === "error" && !known.has(key(problem)));
}
