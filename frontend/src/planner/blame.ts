/** Which devices and edges of the canvas a resource stands for, to mark the bottleneck there. Pure. */
import type { Resource } from "./types";
import { endsOf, interfaceOf, laneOf } from "./words";

export type Blame =
  | { kind: "device"; device: string }
  | { kind: "link"; source: string; target: string }
  | { kind: "interface"; device: string; inwards: boolean };

export function blameOf({ kind, name }: Pick<Resource, "kind" | "name">): Blame {
  switch (kind) {
    case "cores":
      return { kind: "device", device: name };
    case "lane":
      return { kind: "device", device: laneOf(name).device };
    case "link":
      return { kind: "link", ...endsOf(name) };
    case "interface":
      return { kind: "interface", ...interfaceOf(name) };
  }
}

/** Whether the layers of these devices are to blame. */
export const blamesDevice = (blame: Blame | null, devices: readonly string[]): boolean => blame?.kind === "device" && devices.includes(blame.device);

/** Whether what passes from these devices to those is to blame; ends of the network are the studio's. */
export function blamesEdge(blame: Blame | null, sources: readonly string[], targets: readonly string[]): boolean {
  if (blame === null || blame.kind === "device") return false;
  const crosses = (from: string, to: string) => sources.some((source) => source === from && targets.some((target) => target === to && target !== source));
  if (blame.kind === "link") return crosses(blame.source, blame.target);
  const others = (list: readonly string[]) => list.filter((one) => one !== blame.device);
  return blame.inwards ? targets.includes(blame.device) && others(sources).length > 0 : sources.includes(blame.device) && others(targets).length > 0;
}
