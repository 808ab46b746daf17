/** How frames flow through a device, in words: its stages' times per frame, its links' rates. Pure. */
import type { DeviceLive } from "@/api/types";
import { formatDuration, formatRate } from "@/app/format";

type Stage = DeviceLive["stages"][number];

/** A frame passes every stage of the device: times add up. Null when no frame passed. */
function perFrame(stages: readonly Stage[], of: (stage: Stage) => number | null | undefined): number | null {
  const times = stages.map(of).filter((time) => time != null);
  return times.length === 0 ? null : times.reduce((sum, time) => sum + time, 0);
}

export function describeTimes({ stages }: DeviceLive): string | null {
  const compute = perFrame(stages, ({ compute_s }) => compute_s);
  const wait = perFrame(stages, ({ queue_wait_s }) => queue_wait_s);
  if (compute === null) return null;
  return `compute ${formatDuration(compute)}${wait === null ? "" : ` · wait ${formatDuration(wait)}`}`;
}

export function describeLinks(live: DeviceLive): string {
  return `in ${formatRate(live.received_bytes_per_s)} · out ${formatRate(live.sent_bytes_per_s)}`;
}
