/** A weight's histogram as places and words. Pure. */
import type { WeightFigures, WeightHistogram, WeightSlices } from "@/api/types";
import { formatCount, formatPercent, formatReal } from "@/app/format";

export interface Bar {
  low: number;
  high: number;
  count: number;
  /** From 0 to 1, as drawn; what is not empty is seen. */
  height: number;
}

const SEEN = 0.02;

/** `log`: by the logarithm of the counts, so that few beside very many are seen. */
export function barsOf({ edges, counts }: WeightHistogram, log: boolean): Bar[] {
  const size = (count: number) => (log ? Math.log1p(count) : count);
  const most = Math.max(1, ...counts);
  return counts.map((count, i) => ({ low: edges[i] ?? 0, high: edges[i + 1] ?? 0, count, height: count === 0 ? 0 : Math.max(SEEN, size(count) / size(most)) }));
}

/** Whole numbers have bins around them: one that holds a single number is called by it. */
export function tellRange(low: number, high: number): string {
  const whole = [low, high].every((end) => Number.isInteger(end + 0.5));
  const [first, last] = whole ? [low + 0.5, high - 0.5] : [low, high];
  return first === last ? formatReal(first) : `${formatReal(first)} to ${formatReal(last)}`;
}

export const tellBar = ({ low, high, count }: Pick<Bar, "low" | "high" | "count">, of: number): string => `${tellRange(low, high)}: ${formatCount(count)} (${formatPercent(of === 0 ? 0 : count / of)})`;

/** The histogram in a sentence. */
export function tellHistogram({ edges, counts }: WeightHistogram): string {
  const total = counts.reduce((sum, count) => sum + count, 0);
  const [low, high] = [edges[0] ?? 0, edges.at(-1) ?? 0];
  const ranked = counts.map((count, i) => ({ count, i })).sort((a, b) => b.count - a.count);
  const [top] = ranked;
  if (!top || total === 0) return "No values.";
  if (counts.length === 1) return `All ${formatCount(total)} values are ${tellRange(low, high)}.`;
  // The narrowest run of bins around the fullest that holds half of all.
  let [from, to, sum] = [top.i, top.i, top.count];
  while (sum * 2 < total) {
    const [left, right] = [counts[from - 1] ?? -1, counts[to + 1] ?? -1];
    if (left >= right) sum += counts[(from -= 1)] ?? 0;
    else sum += counts[(to += 1)] ?? 0;
  }
  return `${formatCount(total)} values from ${tellRange(low, high)}; half of them or more lie in ${tellRange(edges[from] ?? 0, edges[to + 1] ?? 0)}.`;
}

export interface Fact {
  name: string;
  text: string;
  /** Something that a person should look at. */
  isOdd: boolean;
}

/** What is told beside the histogram. */
export function factsOf(figures: WeightFigures, elements: number): Fact[] {
  const { looked_at: lookedAt, zeros, not_numbers: notNumbers, infinite, minimum, maximum, mean, std } = figures;
  const share = (count: number) => `${formatCount(count)} (${formatPercent(lookedAt === 0 ? 0 : count / lookedAt)})`;
  const known = (value: number | null) => (value === null ? "–" : formatReal(value));
  return [
    { name: "Range", text: minimum === null ? "–" : `${known(minimum)} to ${known(maximum)}`, isOdd: false },
    { name: "Mean ± deviation", text: mean === null ? "–" : `${known(mean)} ± ${known(std)}`, isOdd: false },
    { name: "Zeros", text: zeros === 0 ? "none" : share(zeros), isOdd: false },
    ...(notNumbers > 0 ? [{ name: "Not a number", text: share(notNumbers), isOdd: true }] : []),
    ...(infinite > 0 ? [{ name: "Infinite", text: share(infinite), isOdd: true }] : []),
    ...(lookedAt < elements ? [{ name: "Looked at", text: `${formatPercent(lookedAt / elements)}, spread evenly`, isOdd: false }] : []),
  ];
}

/** Each slice's range as one path; heights by the range of all. Null where no slice has one. */
export function slicesPath({ minimum, maximum }: WeightSlices, width: number, height: number): { path: string; step: number; zero: number } | null {
  const known = (ends: readonly (number | null)[]) => ends.filter((end) => end !== null);
  const [low, high] = [Math.min(0, ...known(minimum)), Math.max(0, ...known(maximum))];
  if (known(minimum).length === 0 || minimum.length === 0) return null;
  const span = high - low || 1;
  const y = (value: number) => Math.round((1 - (value - low) / span) * height * 10) / 10;
  const step = width / minimum.length;
  const path = minimum.flatMap((from, i) => {
    const to = maximum[i] ?? null;
    if (from === null || to === null) return [];
    const x = Math.round((i + 0.5) * step * 100) / 100;
    // Of no length it would not be drawn.
    return [`M${x} ${y(from)}V${Math.abs(y(from) - y(to)) < 0.6 ? y(to) - 0.6 : y(to)}`];
  });
  return { path: path.join(""), step, zero: y(0) };
}
