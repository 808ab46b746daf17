/** The way from an empty studio to a network that runs in pieces. Pure. */
import type { Device, ModelSummary } from "@/api/types";
import { isUsable } from "@/devices/words";

export type StepState = "done" | "now" | "later";

/** A pipeline needs more than one. */
export const ENOUGH_DEVICES = 2;

export interface Progress {
  /** The network that is placed: the newest. */
  model: ModelSummary | null;
  /** Devices that can serve. */
  usable: readonly Device[];
  states: readonly [network: StepState, devices: StepState, deploy: StepState];
}

export function progressOf(models: readonly ModelSummary[], devices: readonly Device[]): Progress {
  const model = models[0] ?? null;
  const usable = devices.filter(isUsable);
  const hasDevices = usable.length >= ENOUGH_DEVICES;
  return {
    model,
    usable,
    states: [model ? "done" : "now", hasDevices ? "done" : model ? "now" : "later", model && usable.length > 0 ? (hasDevices ? "now" : "later") : "later"],
  };
}

/** `local-1 and local-2`, `pi-1, pi-2 and 3 more`. */
export function nameThem(names: readonly string[]): string {
  if (names.length <= 3) return names.length < 2 ? (names[0] ?? "") : `${names.slice(0, -1).join(", ")} and ${names.at(-1) ?? ""}`;
  return `${names.slice(0, 2).join(", ")} and ${names.length - 2} more`;
}
