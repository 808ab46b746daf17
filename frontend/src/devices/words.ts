/** States and verdicts of devices in words. */
import type { Device } from "@/api/types";

export const STATE_WORDS: Record<Device["state"], string> = {
  unknown: "not checked",
  ready: "ready",
  limited: "ready with limits",
  cannot: "cannot",
  unreachable: "unreachable",
};
