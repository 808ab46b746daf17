/** Sums over layers, for the details of blocks and selections. Pure. */
import { formatWhole, plural } from "@/app/format";
import { at, type Network, type NetworkNode } from "@/graph/network";
import { devicesOfLayer } from "@/plan/divisions";
import type { Content } from "@/plan/content";
import type { LayerCost } from "@/profiles/costs";

export interface Sums {
  macs: number;
  parameters: number;
  weightBytes: number;
  activationBytes: number;
}

export function sumsOf(nodes: readonly NetworkNode[]): Sums {
  const sums = { macs: 0, parameters: 0, weightBytes: 0, activationBytes: 0 };
  for (const node of nodes) for (const key of Object.keys(sums) as (keyof Sums)[]) sums[key] += node[key];
  return sums;
}

/** What layers cost together on one device; null where nothing is known of any of them. Joules are null where one has none. */
export function costsOn(costs: ReadonlyMap<string, LayerCost> | undefined, layers: readonly string[]): LayerCost | null {
  const known = layers.flatMap((layer) => costs?.get(layer) ?? []);
  if (known.length === 0) return null;
  return known.reduce((sum, { seconds, joules }) => ({ seconds: sum.seconds + seconds, joules: sum.joules === null || joules === null ? null : sum.joules + joules }), { seconds: 0, joules: 0 } as LayerCost);
}

/** `12 Conv, 10 Relu, 2 Add`; the most frequent first. */
export function tellKinds(nodes: readonly Pick<NetworkNode, "op">[]): string {
  const counts = new Map<string, number>();
  for (const { op } of nodes) counts.set(op, (counts.get(op) ?? 0) + 1);
  return [...counts].sort(([, a], [, b]) => b - a).map(([op, count]) => `${formatWhole(count)}\u00a0${op}`).join(", ");
}

/** `4 layers`, or `3 Conv layers` where they are of one kind. */
export function tellCount(nodes: readonly Pick<NetworkNode, "op">[]): string {
  const [first] = nodes;
  const same = first !== undefined && nodes.every(({ op }) => op === first.op);
  return plural(nodes.length, same && nodes.length > 1 ? `${first.op} layer` : "layer");
}

/** The edges that lead into a set of layers, or out of it: of those that carry the same from or to the same layer outside, one. */
export function borderOf(network: Network, nodes: ReadonlySet<number>, incoming: boolean): number[] {
  const seen = new Set<string>();
  return [...nodes].flatMap((node) => at(incoming ? network.incoming : network.outgoing, node)).filter((index) => {
    const edge = at(network.edges, index);
    const outside = incoming ? edge.from : edge.to;
    const key = `${outside} ${edge.tensors.join(" ")}`;
    if (nodes.has(outside) || seen.has(key)) return false;
    seen.add(key);
    return true;
  });
}

/** The edges between layers of a set. */
export const insideOf = (network: Network, nodes: ReadonlySet<number>): number[] => [...nodes].flatMap((node) => at(network.outgoing, node)).filter((edge) => nodes.has(at(network.edges, edge).to));

/** The devices that hold any of these layers, "" for none. */
export const devicesOf = (content: Content, layers: readonly string[]): string[] => [
  ...new Set(
    layers.flatMap((layer) => {
      const devices = devicesOfLayer(content, layer);
      return devices.length === 0 ? [""] : devices;
    }),
  ),
];
