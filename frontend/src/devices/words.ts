/** States and verdicts of devices in words. */
import type { Device } from "@/api/types";

export const STATE_WORDS: Record<Device["state"], string> = {
  unknown: "not checked",
  ready: "ready",
  limited: "ready with limits",
  cannot: "cannot",
  unreachable: "unreachable",
};

/** Whether layers may be placed there: a device with limits can be used, one that was not checked may turn out well. */
export const isUsable = ({ state }: Pick<Device, "state">): boolean => state === "ready" || state === "limited" || state === "unknown";
