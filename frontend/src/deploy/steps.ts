/** What a device goes through while it is deployed to: how each step stands. Pure. */
import type { Deployment, DeviceProgress } from "@/api/types";

export const STEPS = ["connect", "check", "install", "push", "load", "verify", "start"] as const;
export type Step = (typeof STEPS)[number];

export const STEP_TITLES: Record<Step, string> = { connect: "Connect", check: "Check", install: "Install", push: "Push", load: "Load", verify: "Verify", start: "Start" };

export const STEP_WHAT: Record<Step, string> = {
  connect: "Reach the device",
  check: "Look what it has",
  install: "Put the agent there and start it",
  push: "Send its parts of the network",
  load: "Load them and try them",
  verify: "Join the devices, and compare one frame with the whole network",
  start: "Take frames",
};

export const STEP_STATES = { done: "done", now: "going on", failed: "failed", ahead: "to come", skipped: "not needed", stopped: "given up" } as const;

export interface StepView {
  step: Step;
  state: keyof typeof STEP_STATES;
  /** As it was told; null where it was never come to. */
  elapsedS: number | null;
  doneBytes: number | null;
  totalBytes: number | null;
}

const placeOf = (name: string): number => STEPS.findIndex((step) => step === name);

/** Each step of a device, in order. `ended`: the deployment goes on no more. */
export function stepsOf({ step, steps }: Pick<DeviceProgress, "step" | "steps">, ended: boolean): StepView[] {
  const told = new Map(steps.map((one) => [one.step as string, one]));
  const last = steps.at(-1)?.step ?? "";
  const place = step === "ready" ? STEPS.length : placeOf(placeOf(step) < 0 ? last : step);
  const here: StepView["state"] = step === "failed" ? "failed" : step !== "waiting" ? (ended ? "stopped" : "now") : ended ? "stopped" : "done";
  return STEPS.map((name, i) => {
    const one = told.get(name);
    const state = i > place ? "ahead" : i === place ? here : one ? "done" : "skipped";
    return { step: name, state, elapsedS: state === "ahead" ? null : (one?.elapsed_s ?? null), doneBytes: one?.done_bytes ?? null, totalBytes: one?.total_bytes ?? null };
  });
}

/** Share of a step's bytes that are there; null where it is not told in bytes. */
export const bytesShare = ({ doneBytes, totalBytes }: Pick<StepView, "doneBytes" | "totalBytes">): number | null => (doneBytes !== null && totalBytes !== null && totalBytes > 0 ? Math.min(doneBytes / totalBytes, 1) : null);

/** Bytes in a second, once there is enough to tell. */
export function rateOf({ doneBytes, elapsedS }: Pick<StepView, "doneBytes" | "elapsedS">): number | null {
  return doneBytes !== null && doneBytes > 0 && elapsedS !== null && elapsedS > 0.05 ? doneBytes / elapsedS : null;
}

/** How far all of it is, from 0 to 1. */
export function overallShare({ devices }: Pick<Deployment, "devices">): number {
  if (devices.length === 0) return 0;
  const sum = devices.reduce((total, device) => total + stepsOf(device, false).reduce((share, view) => share + (view.state === "done" || view.state === "skipped" ? 1 : view.state === "now" ? (bytesShare(view) ?? 0.3) : 0), 0), 0);
  return sum / (devices.length * STEPS.length);
}

/** One sentence for who does not see the steps: "2 of 3 devices are ready; pi-2 failed". */
export function overallWords({ state, devices }: Pick<Deployment, "state" | "devices">): string {
  const ready = devices.filter(({ step }) => step === "ready").length;
  const failed = devices.filter(({ step }) => step === "failed").map(({ device }) => device);
  const told = state === "deploying" ? `${ready} of ${devices.length} devices ${ready === 1 ? "is" : "are"} ready` : { running: "It runs", stopping: "It is being stopped", stopped: "It was stopped", failed: "It failed", cancelled: "It was cancelled" }[state];
  return failed.length === 0 ? told : `${told}; ${failed.join(", ")} failed`;
}
