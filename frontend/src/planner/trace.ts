/** How a search came along: the best value and the bound by time, and where their lines lie in a chart. Pure. */
import { scaleOf, type Scale } from "./scale";
import type { Objective, Search } from "./types";
import { isBounded } from "./words";

export interface Sample {
  /** Since the search began. */
  at_s: number;
  value: number;
  bound: number;
}

/** So many changes are kept; of more, each second one. */
const MOST_SAMPLES = 200;

/** The samples with what a search has found now; the same ones where nothing changed. */
export function traced(samples: readonly Sample[], { answer, elapsed_s }: Pick<Search, "answer" | "elapsed_s">): readonly Sample[] {
  const last = samples.at(-1);
  if (!answer || (last && last.value === answer.value && last.bound === answer.bound)) return samples;
  const kept = samples.length < MOST_SAMPLES ? samples : samples.filter((_, i) => i === 0 || i % 2 === 1);
  return [...kept, { at_s: Math.max(elapsed_s, last?.at_s ?? 0), value: answer.value, bound: answer.bound }];
}

export interface TracePlot {
  y: Scale;
  /** The bound's line may leave the box where it was far away at first: the box cuts it off. */
  value: string;
  bound: string;
  /** What lies between both: how much better a plan could be. */
  between: string;
}

/** A bound farther off than this share of the value is cut off: it would press the rest together. */
const FARTHEST = 1;

/** Where the lines lie in a box of that size, from the top; both go on until `until_s`. */
export function plotTrace(samples: readonly Sample[], until_s: number, width: number, height: number): TracePlot {
  const last = samples.at(-1);
  const near = ({ bound }: Sample) => last !== undefined && isBounded({ value: last.value, bound }) && Math.abs(bound - last.value) <= last.value * FARTHEST;
  const y = scaleOf([...samples.map(({ value }) => value), ...samples.filter(near).map(({ bound }) => bound)], height, 3);
  const x = (at_s: number) => (until_s > 0 ? (Math.min(at_s, until_s) / until_s) * width : 0);
  // Numbers far outside make pictures that browsers draw wrongly.
  const down = (value: number) => Math.min(Math.max(height - y.place(value), -height), 2 * height);
  const known = samples.filter((sample) => isBounded(sample));
  return {
    y,
    value: stepped(samples.map(({ at_s, value }) => [x(at_s), down(value)]), width),
    bound: stepped(known.map(({ at_s, bound }) => [x(at_s), down(bound)]), width),
    between: closed(known.map(({ at_s, bound }) => [x(at_s), down(bound)]), known.map(({ at_s, value }) => [x(at_s), down(value)]), width),
  };
}

type Place = readonly [x: number, y: number];

const told = ([x, y]: Place): string => `${x.toFixed(1)} ${y.toFixed(1)}`;

/** The corners of a line that stays until the next change. */
const corners = (places: readonly Place[], end: number): Place[] => places.flatMap(([x, y], i) => [[x, y] as const, [places[i + 1]?.[0] ?? end, y] as const]);

const stepped = (places: readonly Place[], end: number): string => (places.length === 0 ? "" : `M${corners(places, end).map(told).join("L")}`);

const closed = (above: readonly Place[], below: readonly Place[], end: number): string =>
  above.length === 0 ? "" : `M${[...corners(above, end), ...corners(below, end).reverse()].map(told).join("L")}z`;

/** What the chart shows, for who cannot see it. */
export function traceWords(samples: readonly Sample[], objective: Objective, format: (objective: Objective, value: number) => string): string {
  const [first, last] = [samples[0], samples.at(-1)];
  if (!first || !last) return "Nothing was found yet";
  const bound = isBounded(last) ? `, none beats ${isBounded(first) && first.bound !== last.bound ? `${format(objective, first.bound)}, later ` : ""}${format(objective, last.bound)}` : "";
  return `Best plan ${first.value === last.value ? "" : `${format(objective, first.value)}, later `}${format(objective, last.value)}${bound}`;
}
