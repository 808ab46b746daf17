/** What is charted of a device, in words. Pure. */
import { formatBytes, formatFps, formatPercent } from "@/app/format";
import { formatWatts } from "@/power/words";
import type { Metric } from "./series";

export const METRIC_LABELS: Record<Metric, string> = { fps: "Frames/s", cpu: "CPU", memory: "Memory", power: "Power", temperature: "Temperature" };

export function formatMetric(metric: Metric, value: number): string {
  if (metric === "fps") return formatFps(value);
  if (metric === "cpu") return formatPercent(value);
  if (metric === "memory") return formatBytes(value);
  if (metric === "temperature") return `${value.toFixed(1)}\u202f°C`;
  return formatWatts(value);
}
