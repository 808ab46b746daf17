/** The way of a device from being added to being planned for: added, checked, profiled, its links measured. Pure. */
import type { Device, Links } from "@/api/types";
import { plural } from "@/app/format";

export type PathStep = "added" | "checked" | "profiled" | "linked";

export interface Milestone {
  step: PathStep;
  title: string;
  /** `next`: the one to do now. */
  state: "done" | "next" | "later" | "wrong";
  /** What is known, or why it is worth doing. */
  note: string;
}

/** Peers of which a measured rate is known, in whichever direction. */
export function peersOf(links: Pick<Links, "links"> | undefined, name: string): number {
  const peers = (links?.links ?? []).filter(({ method }) => method !== "traffic").flatMap(({ source, target }) => (source === name ? [target] : target === name ? [source] : []));
  return new Set(peers).size;
}

export function pathOf(device: Pick<Device, "state" | "check">, profiles: number, peers: number): Milestone[] {
  const usable = device.state === "ready" || device.state === "limited";
  const wrong = device.state === "cannot" || device.state === "unreachable";
  const open: [PathStep, string, boolean, string][] = [
    ["checked", usable ? "Checked" : "Check", usable, usable ? (device.state === "ready" ? "can serve" : "can serve, with limits") : wrong ? "see what to do below" : "what it is, and whether it can serve"],
    ["profiled", profiles > 0 ? "Profiled" : "Profile", profiles > 0, profiles > 0 ? plural(profiles, "network") : "so that plans are predicted from what it takes, not from estimates"],
    ["linked", peers > 0 ? "Links measured" : "Measure its links", peers > 0, peers > 0 ? `with ${plural(peers, "peer")}` : "so that plans know what a cut costs"],
  ];
  const next = open.find(([, , done]) => !done)?.[0];
  return [
    { step: "added", title: "Added", state: "done", note: "" },
    ...open.map(([step, title, done, note]): Milestone => ({ step, title, note, state: done ? "done" : step === "checked" && wrong ? "wrong" : step === next ? "next" : "later" })),
  ];
}
