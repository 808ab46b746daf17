/** How frames flow through a device, in words: its stages' times per frame, its links' rates. Pure. */
import type { DeviceLive } from "@/api/types";
import { formatDuration, formatRate, plural } from "@/app/format";

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

/** Shorter than this nothing is said: a slow link, or a stage that computes. */
export const STALLED_S = 3;

/** Links that stand still or are cut, one sentence each. */
export function describeTrouble({ links }: Pick<DeviceLive, "links">): string[] {
  const told = links.flatMap(({ link, connected, stalled_s, in_flight, reconnects }) => {
    const way = link.replace("->", " → ");
    if (!connected) return [`${way}: not connected${reconnects > 0 ? `, broke ${plural(reconnects, "time")}` : ""}`];
    if (stalled_s < STALLED_S) return [];
    return [`${way}: nothing has moved for ${formatDuration(stalled_s)}${in_flight > 0 ? `, ${plural(in_flight, "frame")} on the way` : ""}`];
  });
  // Links of two deployments, of which one takes the place of the other, have the same names.
  return [...new Set(told)];
}
