/** Selections that go on along the edges: to the end, or as long as something stays the same. Pure. */
import { at, type Network } from "./network";

/** Layers from some on, along the edges, these included. Where `goesOn` says no, it ends before that layer. */
export function onwards(network: Network, nodes: readonly number[], goesOn: (from: number, to: number) => boolean = () => true): number[] {
  const seen = new Set(nodes);
  for (const node of seen) {
    for (const edge of at(network.outgoing, node)) {
      const { to } = at(network.edges, edge);
      if (at(network.nodes, to).kind === "layer" && goesOn(node, to)) seen.add(to);
    }
  }
  return [...seen].sort((a, b) => a - b);
}
