/** Long tasks in words. Pure. */
import type { Job } from "@/api/types";
import { formatBytes, formatPercent, formatWhole } from "@/app/format";

export const STATE_WORDS: Record<Job["state"], string> = { waiting: "waiting", running: "running", done: "done", failed: "failed", cancelled: "cancelled" };

/** How far a job is, 0 to 1; null where that is not known. */
export function shareOf({ done, total, state }: Pick<Job, "done" | "total" | "state">): number | null {
  if (state === "done") return 1;
  if (total === null || total <= 0) return null;
  return Math.min(Math.max(done / total, 0), 1);
}

/** `8.77 MB of 42.6 MB, 21 %`; `7 of 8`; null where it is not known how much there is to do. */
export function amountOf({ done, total, unit }: Pick<Job, "done" | "total" | "unit">): string | null {
  if (total === null || total <= 0) return null;
  if (unit === "bytes") return `${formatBytes(Math.min(done, total))} of ${formatBytes(total)}, ${formatPercent(Math.min(done / total, 1))}`;
  return `${formatWhole(done)} of ${formatWhole(total)}${unit === "seconds" ? " s" : ""}`;
}

/** The job that a device takes part in now, of one kind or of any. */
export function jobOf(jobs: readonly Job[] | undefined, device: string, kind?: Job["kind"]): Job | null {
  return jobs?.find((job) => (job.state === "waiting" || job.state === "running") && job.devices.includes(device) && (kind === undefined || job.kind === kind)) ?? null;
}
