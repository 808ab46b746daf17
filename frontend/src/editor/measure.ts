/** What the bars of cards show: a number of each layer, summed over a fold. */
import type { FoldTree } from "@/graph/folds";
import type { Layout, ShownItem } from "@/graph/layout";
import { at, type Network, type NetworkNode } from "@/graph/network";
import { nodesOfItem } from "@/graph/select";
import { MEASURES, type Measure } from "./view";

export function measured(node: NetworkNode, measure: Measure): number {
  if (measure === "macs") return node.macs;
  return measure === "parameters" ? node.parameters : node.activationBytes;
}

export function measuredOfItem(network: Network, tree: FoldTree, item: Pick<ShownItem, "node" | "fold">, measure: Measure): number {
  return nodesOfItem(tree, item).reduce((sum, node) => sum + measured(at(network.nodes, node), measure), 0);
}

/** The largest value of each measure among the cards. */
export function mostOf(network: Network, tree: FoldTree, { items }: Pick<Layout, "items">): Record<Measure, number> {
  const largest = (measure: Measure) => items.reduce((top, item) => Math.max(top, measuredOfItem(network, tree, item, measure)), 0);
  return Object.fromEntries(MEASURES.map((measure) => [measure, largest(measure)])) as Record<Measure, number>;
}
