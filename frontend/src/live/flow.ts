/** How frames flow through a device, in words: its stages' times per frame, its links' rates, its energy per frame. Pure. */
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

export function describeEnergy({ energy_per_frame_j, power }: DeviceLive): string | null {
  if (energy_per_frame_j == null || !power) return null;
  const amount = energy_per_frame_j < 0.1 ? `${(energy_per_frame_j * 1000).toFixed(1)}\u202fmJ` : `${energy_per_frame_j.toFixed(2)}\u202fJ`;
  return `${amount} per frame${power.method === "estimated" ? ", estimated" : ""}`;
}
