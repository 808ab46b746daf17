/** What a placement costs per device, at once and in the page; the studio's own report replaces it. */
import { at, type Network } from "@/graph/network";
import type { Placement } from "./placement";

export interface DeviceEstimate {
  layers: number;
  macs: number;
  parameters: number;
  weightBytes: number;
  activationBytes: number;
  /** What the device will need, the runtime included. */
  memoryBytes: number;
  receivedBytes: number;
  sentBytes: number;
}

export interface Estimate {
  devices: ReadonlyMap<string, DeviceEstimate>;
  unplaced: number;
  /** Pairs of devices between which tensors pass. */
  cuts: number;
  /** Per frame, between devices. */
  cutBytes: number;
  total: DeviceEstimate;
}

const nothing = (): DeviceEstimate => ({ layers: 0, macs: 0, parameters: 0, weightBytes: 0, activationBytes: 0, memoryBytes: 0, receivedBytes: 0, sentBytes: 0 });

/** As the studio reckons it (`partition/check.py`): the runtime, weights and their re-ordered copies, live activations. */
const RUNTIME_BYTES = 64 * 2 ** 20;
const WEIGHT_COPIES = 2.5;

/** Sum a placement up. A tensor that several layers of one device take crosses to it once. */
export function estimate(network: Network, placement: Placement): Estimate {
  const devices = new Map<string, DeviceEstimate>();
  const total = nothing();
  const of = (device: string) => {
    let entry = devices.get(device);
    if (!entry) devices.set(device, (entry = nothing()));
    return entry;
  };
  let unplaced = 0;
  for (const node of network.nodes) {
    if (node.kind !== "layer") continue;
    const device = placement[node.name];
    if (device === undefined) unplaced += 1;
    for (const entry of device === undefined ? [total] : [total, of(device)]) {
      entry.layers += 1;
      entry.macs += node.macs;
      entry.parameters += node.parameters;
      entry.weightBytes += node.weightBytes;
      entry.activationBytes = Math.max(entry.activationBytes, node.activationBytes);
    }
  }
  for (const entry of devices.values()) entry.memoryBytes = RUNTIME_BYTES + WEIGHT_COPIES * entry.weightBytes + entry.activationBytes;
  const crossed = new Set<string>();
  const pairs = new Set<string>();
  let cutBytes = 0;
  for (const edge of network.edges) {
    const [from, to] = [at(network.nodes, edge.from), at(network.nodes, edge.to)];
    const source = from.kind === "layer" ? placement[from.name] : null;
    const sink = to.kind === "layer" ? placement[to.name] : null;
    if (source === sink || source === undefined || sink === undefined) continue;
    const key = `${edge.from} ${sink ?? ""} ${edge.tensors.join(" ")}`;
    if (crossed.has(key)) continue;
    crossed.add(key);
    if (source !== null) of(source).sentBytes += edge.bytes;
    if (sink !== null) of(sink).receivedBytes += edge.bytes;
    if (source !== null && sink !== null) {
      pairs.add(`${source}\n${sink}`);
      cutBytes += edge.bytes;
    }
  }
  return { devices, unplaced, cuts: pairs.size, cutBytes, total };
}
