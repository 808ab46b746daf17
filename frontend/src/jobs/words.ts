/** Long tasks in words. Pure. */
import { isGoing } from "@/api/queries";
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

/** A job that went on when it was seen last, and of which the studio knows nothing any more: it was started anew meanwhile, and tasks do not outlive it. */
const endedWithStudio = (job: Job): Job => ({
  ...job,
  state: "failed",
  problem: { code: "ended_with_studio", message: "The studio was started anew, and this ended with it.", next_step: "Start it again.", details: {} },
});

/** A job by what was seen of it last and by the studio's list (undefined: not there yet), which lets old jobs go once they have ended. */
export function newestOf(seen: Job, jobs: readonly Job[] | undefined): Job {
  const listed = jobs?.find(({ id }) => id === seen.id);
  return listed ?? (jobs !== undefined && isGoing(seen) ? endedWithStudio(seen) : seen);
}

/** The job that a device takes part in now, of one kind or of any. */
export function jobOf(jobs: readonly Job[] | undefined, device: string, kind?: Job["kind"]): Job | null {
  return jobs?.find((job) => isGoing(job) && job.devices.includes(device) && (kind === undefined || job.kind === kind)) ?? null;
}
