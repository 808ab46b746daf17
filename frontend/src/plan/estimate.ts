/** What a plan costs per device, at once and in the page; the studio's own report replaces it. */
import { own } from "@/app/own";
import { at, type Network, type NetworkNode } from "@/graph/network";
import { deviceOf, placesOf, type Content } from "./content";
import { divisionsOf } from "./divisions";

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
  /** Bytes for each frame between each such pair, by `from\nto`. */
  passing: ReadonlyMap<string, number>;
  /** Per frame, between devices. */
  cutBytes: number;
  total: DeviceEstimate;
}

const nothing = (): DeviceEstimate => ({ layers: 0, macs: 0, parameters: 0, weightBytes: 0, activationBytes: 0, memoryBytes: 0, receivedBytes: 0, sentBytes: 0 });

/** As the studio reckons it (`partition/check.py`): the runtime, weights and their re-ordered copies, live activations. */
export const RUNTIME_BYTES = 64 * 2 ** 20;
const WEIGHT_COPIES = 2.5;

/** The share of a layer that each device does, and which of the layer's costs the share divides. */
interface Holding {
  device: string;
  share: number;
  weightShare: number;
}

/** Who runs a layer; nobody when it is unplaced. Rows, columns and frames are shared, the weights for them are not. */
function holdings(content: Content, layer: string): readonly Holding[] {
  const division = divisionsOf(content.shards).get(layer);
  if (!division) {
    const place = own(content.placement, layer);
    if (place === undefined) return [];
    const places = placesOf(content, place);
    return places.map((one) => ({ device: deviceOf(content, one), share: 1 / places.length, weightShare: 1 }));
  }
  const channels = division.kind === "filters" || division.kind === "inputs";
  const shares = new Map<string, number>();
  for (const { place, share } of division.parts) {
    const device = deviceOf(content, place);
    shares.set(device, (shares.get(device) ?? 0) + share);
  }
  return [...shares].map(([device, share]) => ({ device, share, weightShare: channels ? share : 1 }));
}

/** What crosses on an edge: bytes from device to device, each tensor once per device that takes it. */
export interface Crossing {
  from: string;
  to: string;
  bytes: number;
}

/**
 * What passes between the devices of two layers. Halos are left out, and layers that were divided together hand over
 * in place; the studio's report is exact.
 */
export function crossings(content: Content, source: string, sink: string, bytes: number): Crossing[] {
  const divisions = divisionsOf(content.shards);
  const [above, below] = [divisions.get(source), divisions.get(sink)];
  if (above && below && above.shardings.some((index) => below.shardings.includes(index))) return [];
  // A frame that one of several replicas computes stays with it, and only that one takes it.
  const [place, taker] = [own(content.placement, source), own(content.placement, sink)];
  if (!above && !below && place === taker) return [];
  const dealt = !below && taker !== undefined && Object.hasOwn(content.rest.replicas, taker);
  const needed = (share: number) => (dealt || (below && below.kind !== "filters") ? share : 1);
  return holdings(content, sink).flatMap((to) =>
    holdings(content, source)
      .filter((from) => from.device !== to.device)
      .map((from) => ({ from: from.device, to: to.device, bytes: bytes * from.share * needed(to.share) })),
  );
}

const known = new WeakMap<Network, WeakMap<Content, Estimate>>();

/** Sum a plan up. A tensor that several layers of one device take crosses to it once. The same object for the same plan. */
export function estimate(network: Network, content: Content): Estimate {
  let plans = known.get(network);
  if (!plans) known.set(network, (plans = new WeakMap()));
  let found = plans.get(content);
  if (!found) plans.set(content, (found = sumUp(network, content)));
  return found;
}

function sumUp(network: Network, content: Content): Estimate {
  const devices = new Map<string, DeviceEstimate>();
  const total = nothing();
  const of = (device: string) => {
    let entry = devices.get(device);
    if (!entry) devices.set(device, (entry = nothing()));
    return entry;
  };
  const add = (entry: DeviceEstimate, node: NetworkNode, share: number, weightShare: number) => {
    entry.layers += 1;
    entry.macs += node.macs * share;
    entry.parameters += node.parameters * weightShare;
    entry.weightBytes += node.weightBytes * weightShare;
    entry.activationBytes = Math.max(entry.activationBytes, node.activationBytes * share);
  };
  let unplaced = 0;
  for (const node of network.nodes) {
    if (node.kind !== "layer") continue;
    const holders = holdings(content, node.name);
    if (holders.length === 0) unplaced += 1;
    add(total, node, 1, 1);
    for (const { device, share, weightShare } of holders) add(of(device), node, share, weightShare);
  }
  for (const entry of devices.values()) entry.memoryBytes = RUNTIME_BYTES + WEIGHT_COPIES * entry.weightBytes + entry.activationBytes;
  const crossed = new Set<string>();
  const pairs = new Map<string, number>();
  let cutBytes = 0;
  for (const edge of network.edges) {
    const [from, to] = [at(network.nodes, edge.from), at(network.nodes, edge.to)];
    const once = (device: string): boolean => {
      const key = `${edge.from} ${device} ${edge.tensors.join(" ")}`;
      return !crossed.has(key) && crossed.add(key) !== undefined;
    };
    if (from.kind === "input") {
      for (const { device } of holdings(content, to.name)) if (once(device)) of(device).receivedBytes += edge.bytes;
    } else if (to.kind === "output") {
      for (const { device, share } of holdings(content, from.name)) of(device).sentBytes += edge.bytes * share;
    } else {
      const passing = crossings(content, from.name, to.name, edge.bytes);
      const first = new Set(passing.map((crossing) => crossing.to).filter((device, i, all) => all.indexOf(device) === i && once(device)));
      for (const { from: source, to: device, bytes } of passing) {
        if (!first.has(device)) continue;
        of(source).sentBytes += bytes;
        of(device).receivedBytes += bytes;
        const pair = `${source}\n${device}`;
        pairs.set(pair, (pairs.get(pair) ?? 0) + bytes);
        cutBytes += bytes;
      }
    }
  }
  return { devices, unplaced, cuts: pairs.size, passing: pairs, cutBytes, total };
}
