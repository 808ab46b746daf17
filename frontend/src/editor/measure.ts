/** What the bars of cards show: a number of each layer, summed over a fold. */
import { formatBytes, formatCount, formatDuration, formatMacs } from "@/app/format";
import type { FoldTree } from "@/graph/folds";
import type { Layout } from "@/graph/layout";
import { at, type Network, type NetworkNode } from "@/graph/network";
import { nodesOfItem } from "@/graph/select";
import type { Content } from "@/plan/content";
import { sharesOfLayers } from "@/plan/shares";
import { formatJoules } from "@/power/words";
import type { Costs, LayerCost } from "@/profiles/costs";
import { MEASURES, type Measure } from "./view";

const costOf = (cost: LayerCost | undefined, measure: Measure): number | null => (cost === undefined ? null : measure === "seconds" ? cost.seconds : cost.joules);

export const needsProfile = (measure: Measure): boolean => measure === "seconds" || measure === "joules";

/** A layer's number where it does not depend on its device. */
function fixed(node: NetworkNode, measure: Measure): number {
  if (measure === "macs") return node.macs;
  return measure === "parameters" ? node.parameters : node.activationBytes;
}

/** The sum over layers, on the devices where a plan has them; null where nothing of it is known, which is not 0. */
export function measuredOf(nodes: readonly NetworkNode[], measure: Measure, content: Content, costs: Costs): number | null {
  if (!needsProfile(measure)) return nodes.reduce((sum, node) => sum + fixed(node, measure), 0);
  let sum: number | null = null;
  for (const { name } of nodes) {
    for (const { device, share } of sharesOfLayers(content, [name])) {
      const cost = costOf(costs.get(device)?.get(name), measure);
      if (cost !== null) sum = (sum ?? 0) + cost * share;
    }
  }
  return sum;
}

/** The largest value of each measure among the cards, wherever their layers may be put. */
export function mostOf(network: Network, tree: FoldTree, { items }: Pick<Layout, "items">, costs: Costs): Record<Measure, number> {
  const dearest = (node: NetworkNode, measure: Measure) => Math.max(0, ...[...costs.values()].map((layers) => costOf(layers.get(node.name), measure) ?? 0));
  const ofNode = (node: NetworkNode, measure: Measure) => (needsProfile(measure) ? dearest(node, measure) : fixed(node, measure));
  const largest = (measure: Measure) => items.reduce((top, item) => Math.max(top, nodesOfItem(tree, item).reduce((sum, node) => sum + ofNode(at(network.nodes, node), measure), 0)), 0);
  return Object.fromEntries(MEASURES.map((measure) => [measure, largest(measure)])) as Record<Measure, number>;
}

/** "1.2 ms predicted". */
export function describeMeasure(value: number | null, measure: Measure): string {
  if (value === null) return measure === "joules" ? "no energy profile there" : "no profile there";
  switch (measure) {
    case "macs":
      return formatMacs(value);
    case "parameters":
      return `${formatCount(value)} parameters`;
    case "activation":
      return `${formatBytes(value)} of activations`;
    case "seconds":
      return `${formatDuration(value)} predicted`;
    case "joules":
      return `${formatJoules(value)} predicted`;
  }
}
