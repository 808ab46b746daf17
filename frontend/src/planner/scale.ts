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

/** A scale on which what lies far off has a strip of its own at either end. */
export interface BrokenScale extends Scale {
  /** Between these the scale is true; beyond them are the strips. */
  from: number;
  to: number;
  /** On which side of the scale a value lies: below it, within, above. */
  side: (value: number) => -1 | 0 | 1;
}

/** What must be told apart keeps at least this share of the scale. */
const LEAST_SHARE = 0.3;
/** So small a part of the value needs no scale of its own: what differs by less is as good as equal. */
const LEAST_SPAN = 0.1;
/** How wide a strip is, where there is room. */
const STRIP = 34;

/** A scale for `core`, with those of `others` that leave room for telling the values of `core` apart. */
export function brokenScaleOf(core: readonly number[], others: readonly number[], length: number, most = 5): BrokenScale {
  const known = core.filter((value) => Number.isFinite(value));
  const rest = others.filter((value) => Number.isFinite(value));
  if (known.length < 2) return whole([...known, ...rest], length, most);
  let [least, top] = [Math.min(...known), Math.max(...known)];
  const room = Math.max(top - least, Math.abs(top) * LEAST_SPAN) / LEAST_SHARE;
  const away = (value: number) => Math.max(least - value, value - top);
  for (const value of [...rest].sort((a, b) => away(a) - away(b))) {
    if (Math.max(top, value) - Math.min(least, value) > room) continue;
    [least, top] = [Math.min(least, value), Math.max(top, value)];
  }
  const { low, high } = scaleOf([least, top], length, most);
  const side = (value: number) => (value < low ? -1 : value > high ? 1 : 0);
  const [isBelow, isAbove] = [rest.some((value) => side(value) < 0), rest.some((value) => side(value) > 0)];
  const strip = Math.min(STRIP, length * 0.15);
  const from = isBelow ? strip : 0;
  const to = length - (isAbove ? strip : 0);
  const inner = scaleOf([least, top], to - from, most);
  return { ...inner, from, to, side, place: (value) => [strip / 2, from + inner.place(value), length - strip / 2][side(value) + 1] ?? 0 };
}

const whole = (values: readonly number[], length: number, most: number): BrokenScale => ({ ...scaleOf(values, length, most), from: 0, to: length, side: () => 0 });

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
