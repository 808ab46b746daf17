/** The stored history of a device before the page's own live figures. Pure. */
import type { History, HistoryPoint } from "@/api/types";
import type { Metric } from "./series";

export const WINDOWS = [60, 600, 3600, 86_400] as const;
export type WindowS = (typeof WINDOWS)[number];
export const WINDOW_WORDS: Record<WindowS, string> = { 60: "1 min", 600: "10 min", 3600: "1 h", 86400: "24 h" };

export const POINT_VALUES: Record<Metric, (point: HistoryPoint) => number | null> = {
  fps: (point) => point.frames_per_s,
  cpu: (point) => point.cpu_utilisation,
  memory: (point) => point.memory_bytes,
  power: (point) => point.power_w,
  temperature: (point) => point.temperature_c,
};

type Line = [times: number[], values: (number | null)[]];

/** History up to where the live figures begin, then those; gaps stay gaps. */
export function joinHistory(history: Pick<History, "points"> | null, metric: Metric, live: Line): Line {
  if (history === null || history.points.length === 0) return live;
  const [liveTimes, liveValues] = live;
  const first = liveTimes[0] ?? Infinity;
  const times: number[] = [];
  const values: (number | null)[] = [];
  for (const point of history.points) {
    const at = Date.parse(point.at) / 1000;
    if (at >= first) break;
    times.push(at);
    values.push(POINT_VALUES[metric](point));
  }
  return [[...times, ...liveTimes], [...values, ...liveValues]];
}

/** Share of the points with figures during which the device was throttled; null without any. */
export function throttledShare({ points }: Pick<History, "points">): number | null {
  const told = points.filter((point) => point.frames_per_s !== null || point.cpu_utilisation !== null);
  return told.length === 0 ? null : told.filter(({ throttled }) => throttled).length / told.length;
}
