/** Calibrating a power model: the levels, what was typed, and the chart of what was found. Pure. */
import type { CalibrationPoint, Job, PowerModel } from "@/api/types";
import { formatPercent } from "@/app/format";
import { formatWatts } from "./words";

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

/** What became of the last hold at a level; watts without a hold were read nobody knows when. */
export function holdWords(job: Pick<Job, "state" | "step" | "done" | "total"> | null, typed: boolean): string {
  if (job === null) return typed ? "not held" : "";
  if (job.state === "done") return "was kept there";
  if (job.state !== "waiting" && job.state !== "running") return job.state === "failed" ? "not held: failed" : "not held to the end";
  const left = secondsLeft(job);
  return `${job.step === "" ? "waiting" : job.step}${left === null ? "" : `, ${left} s left`}`;
}

/** So much busier than asked, and something else ran there. */
const OTHERS = 0.15;

/** So wide a band, as a share of the span from idle to busy, and the line says little. */
const WIDE_BAND = 0.15;

/** What is doubtful about a point; null when nothing is. */
export function doubtOf({ level, utilisation, assumed }: Pick<CalibrationPoint, "level" | "utilisation" | "assumed">): string | null {
  if (assumed) return "not held: assumed";
  return utilisation > level + OTHERS ? "something else ran" : null;
}

/** What to know before estimates are trusted: points that are doubtful, and a line that misses its points. */
export function warningsOf({ idle_w, busy_w, residual_w, points = [] }: PowerModel): string[] {
  const found: string[] = [];
  const assumed = points.filter((point) => point.assumed);
  if (assumed.length > 0) found.push(`Not held: ${assumed.map(({ level }) => levelWords(level)).join(", ")}. How busy the device was there is assumed, not seen.`);
  const disturbed = points.filter((point) => !point.assumed && doubtOf(point) !== null);
  for (const { level, utilisation } of disturbed) found.push(`The device was busy to ${formatPercent(utilisation)} where ${formatPercent(level)} was asked for: something else ran there, and what it takes is in the watts.`);
  const span = busy_w - idle_w;
  if (residual_w !== null && points.length > 0 && residual_w > span * WIDE_BAND) {
    const share = span > 0 ? `${formatPercent(residual_w / span)} of the span from idle to busy` : "and the watts do not rise with the load";
    found.push(`The points lie up to ±${formatWatts(residual_w)} off the line, ${share}: estimates are rough. Measure again while nothing else runs on the device.`);
  }
  return found;
}

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
