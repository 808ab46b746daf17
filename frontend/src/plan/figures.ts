/**
 * The figures of a plan, and how they change: the studio's own where it has predicted the plan, and until then what
 * follows from its last prediction and what has changed since. Pure.
 */
import type { NetworkNode, Network } from "@/graph/network";
import type { Prediction, Resource } from "@/planner/types";
import { sharesOfLayers } from "./shares";
import type { Content } from "./content";
import { estimate, type Estimate } from "./estimate";

export interface Figures {
  /** Null: not known. */
  throughput: number | null;
  latency: number | null;
  energyJ: number | null;
  memoryBytes: number | null;
  cutBytes: number;
  /** Bytes for each frame from device to device, by `from\nto`. */
  passing: ReadonlyMap<string, number>;
  bottleneck: Pick<Resource, "kind" | "name"> | null;
  /** Whether the studio has predicted this very plan. */
  exact: boolean;
  /** Whether it rests on figures that nobody measured. */
  estimated: boolean;
}

/** What was predicted of which plan. */
export interface Basis {
  content: Content;
  prediction: Prediction;
}

/** Seconds and joules of a layer on a device as profiled, by device and layer. */
export type SecondsOf = ReadonlyMap<string, ReadonlyMap<string, { seconds: number }>>;

export function exactFigures({ content, prediction }: Basis, network: Network): Figures {
  const { cutBytes, passing } = estimate(network, content);
  return {
    throughput: prediction.throughput_per_s,
    latency: prediction.latency_s,
    energyJ: prediction.total_energy_j,
    memoryBytes: prediction.max_memory_bytes,
    cutBytes,
    passing,
    bottleneck: prediction.bottleneck,
    exact: true,
    estimated: prediction.estimated,
  };
}

/** Of a plan of which nothing was predicted: only what the page counts itself. */
export function countedFigures({ devices, cutBytes, passing }: Estimate): Figures {
  const memory = [...devices.values()].map(({ memoryBytes }) => memoryBytes);
  return { throughput: null, latency: null, energyJ: null, memoryBytes: memory.length === 0 ? null : Math.max(...memory), cutBytes, passing, bottleneck: null, exact: false, estimated: true };
}

/** What a plan asks of devices and links, in seconds for each frame. */
interface Load {
  /** Computing, by device. */
  compute: ReadonlyMap<string, number>;
  /** Computing, sending and receiving. */
  busy: ReadonlyMap<string, number>;
  links: ReadonlyMap<string, number>;
}

/** The figures of a plan that the studio has not predicted yet, from its prediction of another; null where a device's speed is not known. */
export function quickFigures(network: Network, content: Content, basis: Basis, costs: SecondsOf): Figures | null {
  const { prediction } = basis;
  const [was, is] = [estimate(network, basis.content), estimate(network, content)];
  if (is.unplaced > 0) return countedFigures(is);
  const speeds = speedsOf(basis, was, costs);
  const [before, now] = [loadOf(network, basis.content, was, prediction, speeds), loadOf(network, content, is, prediction, speeds)];
  if (!before || !now) return null;
  const [slowBefore, slowNow] = [slowest(before), slowest(now)];
  if (slowBefore.seconds <= 0 || slowNow.seconds <= 0) return null;
  const slower = slowNow.seconds / slowBefore.seconds;
  const longer = lengthOf(now) / lengthOf(before);
  return {
    throughput: prediction.throughput_per_s / slower,
    latency: prediction.latency_s * longer,
    energyJ: energyOf(prediction, before, now, slower),
    memoryBytes: memoryOf(prediction, was, is),
    cutBytes: is.cutBytes,
    passing: is.passing,
    bottleneck: slowNow,
    exact: false,
    estimated: prediction.estimated,
  };
}

/** Seconds of a layer on a device; null where nothing tells. */
type Speeds = (node: NetworkNode, device: string) => number | null;

/** As profiled; else as fast in MACs as the studio predicts the device with what it has. */
function speedsOf({ prediction }: Basis, { devices }: Estimate, costs: SecondsOf): Speeds {
  const perMac = new Map<string, number>();
  for (const { device, compute_s: seconds } of prediction.devices) {
    const macs = devices.get(device)?.macs ?? 0;
    if (macs > 0 && seconds > 0) perMac.set(device, seconds / macs);
  }
  return (node, device) => {
    const known = costs.get(device)?.get(node.name)?.seconds;
    if (known !== undefined) return known;
    const rate = perMac.get(device);
    return rate === undefined ? null : node.macs * rate;
  };
}

const sum = (values: Iterable<number>): number => [...values].reduce((total, value) => total + value, 0);

function loadOf(network: Network, content: Content, { devices, passing }: Estimate, prediction: Prediction, speeds: Speeds): Load | null {
  const compute = new Map<string, number>();
  for (const node of network.nodes) {
    if (node.kind !== "layer") continue;
    for (const { device, share } of sharesOfLayers(content, [node.name])) {
      const seconds = speeds(node, device);
      if (seconds === null) return null;
      compute.set(device, (compute.get(device) ?? 0) + seconds * share);
    }
  }
  const bytes = sum(prediction.devices.map(({ received_bytes: received, sent_bytes: sent }) => received + sent));
  const perByte = bytes > 0 ? sum(prediction.devices.map(({ carry_s: carry }) => carry)) / bytes : 0;
  const carrying = new Map(prediction.devices.map(({ device, carry_s: carry, received_bytes: received, sent_bytes: sent }) => [device, received + sent > 0 ? carry / (received + sent) : perByte]));
  const busy = new Map([...devices].map(([device, { receivedBytes, sentBytes }]) => [device, (compute.get(device) ?? 0) + (receivedBytes + sentBytes) * (carrying.get(device) ?? perByte)]));
  const wire = sum(prediction.links.map(({ wire_bytes: sent }) => sent));
  const perWireByte = wire > 0 ? sum(prediction.links.map(({ busy_s: seconds }) => seconds)) / wire : 0;
  const rates = new Map(prediction.links.map(({ source, target, busy_s: seconds, wire_bytes: sent }) => [`${source}\n${target}`, sent > 0 ? seconds / sent : perWireByte]));
  const links = new Map([...passing].map(([pair, sent]) => [pair, sent * (rates.get(pair) ?? perWireByte)]));
  return { compute, busy, links };
}

function slowest({ busy, links }: Load): Pick<Resource, "kind" | "name"> & { seconds: number } {
  const all = [
    ...[...busy].map(([name, seconds]) => ({ kind: "cores" as const, name, seconds })),
    ...[...links].map(([pair, seconds]) => ({ kind: "link" as const, name: pair.replace("\n", "->"), seconds })),
  ];
  return all.reduce((most, one) => (one.seconds > most.seconds ? one : most), { kind: "cores" as "cores" | "link", name: "", seconds: 0 });
}

/** One frame alone goes through everything in turn. */
const lengthOf = ({ busy, links }: Load): number => Math.max(sum(busy.values()) + sum(links.values()), 1e-12);

/** What a device takes while it waits grows with the time between frames, what it takes to compute with its work. */
function energyOf(prediction: Prediction, before: Load, now: Load, slower: number): number | null {
  if (prediction.total_energy_j === null) return null;
  let total = 0;
  for (const device of now.busy.keys()) {
    const known = prediction.devices.find((one) => one.device === device);
    if (!known || known.energy_j === null) return null;
    const active = known.active_j ?? 0;
    const work = (now.busy.get(device) ?? 0) / Math.max(before.busy.get(device) ?? 0, 1e-12);
    total += (known.energy_j - active) * slower + active * work;
  }
  return total;
}

/** The studio's figure of each device, with what the page counts as changed. */
function memoryOf(prediction: Prediction, was: Estimate, is: Estimate): number | null {
  const told = new Map(prediction.devices.map(({ device, memory_bytes: bytes }) => [device, bytes]));
  const all = [...is.devices].map(([device, { memoryBytes }]) => {
    const [studio, page] = [told.get(device), was.devices.get(device)?.memoryBytes];
    return studio === undefined || page === undefined ? memoryBytes : studio + memoryBytes - page;
  });
  return all.length === 0 ? null : Math.max(...all);
}
