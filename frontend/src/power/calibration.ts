/** Calibrating a power model: the levels, what was typed, and the chart of what was found. Pure. */
import type { CalibrationPoint, Job, PowerModel } from "@/api/types";

export const LEVELS: readonly number[] = [0, 0.25, 0.5, 0.75, 1];

export const levelWords = (level: number): string => (level === 0 ? "idle" : `${Math.round(level * 100)}\u202f%`);

export type Typed = Readonly<Record<string, number | null>>;

/** What the studio takes: watts by level. Null while one is missing. */
export function typedWatts(levels: readonly number[], typed: Typed): Record<string, number> | null {
  const result: Record<string, number> = {};
  for (const level of levels) {
    const watts = typed[String(level)];
    if (watts == null) return null;
    result[String(level)] = watts;
  }
  return result;
}

/** Seconds until the device is let go; null while it is not yet at its level (its agent starts first). */
export const secondsLeft = ({ done, total }: Pick<Job, "done" | "total">): number | null => (total === null ? null : Math.max(0, total - done));

export interface Plot {
  points: readonly { x: number; y: number; point: CalibrationPoint }[];
  line: { y0: number; y1: number };
  /** Null where the residual is not known: a declared model has none. */
  band: { top0: number; top1: number; bottom0: number; bottom1: number } | null;
  ticks: readonly { y: number; watts: number }[];
}

/** A step of 1, 2 or 5 times a power of ten that gives at most `most` steps. */
export function niceStep(range: number, most: number): number {
  const rough = Math.max(range, 1e-9) / most;
  const power = 10 ** Math.floor(Math.log10(rough));
  const steps = [1, 2, 5, 10].map((factor) => factor * power);
  return steps.find((step) => step >= rough) ?? 10 * power;
}

/** Where points, line and band lie in a box of that size; watts begin at 0. */
export function plotOf(model: PowerModel, width: number, height: number): Plot {
  const residual = model.residual_w;
  const measured = model.points ?? [];
  const top = Math.max(model.busy_w + (residual ?? 0), model.idle_w, ...measured.map(({ power_w }) => power_w), 0.1) * 1.08;
  const y = (watts: number) => height - (Math.max(watts, 0) / top) * height;
  const step = niceStep(top, 4);
  return {
    points: measured.map((point) => ({ x: Math.min(Math.max(point.utilisation, 0), 1) * width, y: y(point.power_w), point })),
    line: { y0: y(model.idle_w), y1: y(model.busy_w) },
    band: residual === null ? null : { top0: y(model.idle_w + residual), top1: y(model.busy_w + residual), bottom0: y(model.idle_w - residual), bottom1: y(model.busy_w - residual) },
    ticks: Array.from({ length: Math.floor(top / step) + 1 }, (_, i) => ({ y: y(i * step), watts: i * step })),
  };
}
