/** Scales of charts: from figures to places, with ticks that people can read. Pure. */
import { niceStep } from "@/power/calibration";

export interface Scale {
  low: number;
  high: number;
  ticks: readonly number[];
  /** Where a value lies, from 0 to `length`. */
  place: (value: number) => number;
}

/** So near to zero, as a share of the largest value, and the scale begins there. */
const NEAR_ZERO = 0.45;

/** A scale that holds all values with a little air; never of no width. */
export function scaleOf(values: readonly number[], length: number, most = 5): Scale {
  const known = values.filter((value) => Number.isFinite(value));
  const [least, top] = known.length === 0 ? [0, 1] : [Math.min(...known), Math.max(...known)];
  const zero = least >= 0 && least <= top * NEAR_ZERO;
  const air = Math.max((top - (zero ? 0 : least)) * 0.08, Math.abs(top) * 1e-3, Number.MIN_VALUE * 1e6);
  const high = top + air;
  const low = zero ? 0 : Math.max(least - air, least >= 0 ? 0 : -Infinity);
  const step = stepOf(high - low, most);
  const first = Math.ceil(low / step - 1e-9);
  const last = Math.floor(high / step + 1e-9);
  return {
    low,
    high,
    ticks: Array.from({ length: last - first + 1 }, (_, i) => (first + i) * step),
    place: (value) => ((value - low) / (high - low)) * length,
  };
}

/** `niceStep` begins at 1e-9; joules of a small frame lie below it. */
function stepOf(range: number, most: number): number {
  const factor = range < 1e-6 ? 10 ** Math.ceil(-Math.log10(range)) : 1;
  return niceStep(range * factor, most) / factor;
}

/** The radius of a point whose area tells a value: from 4 for the least to 10 for the largest. */
export function radiusOf(value: number, least: number, most: number): number {
  const share = most > least ? (value - least) / (most - least) : 0;
  return Math.sqrt(16 + 84 * Math.min(Math.max(share, 0), 1));
}
