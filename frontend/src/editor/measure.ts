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

/** What fits in a card's corner; "–" where nothing is known. */
export function tellMeasure(value: number | null, measure: Measure): string {
  if (value === null) return "–";
  if (value === 0) return "0";
  switch (measure) {
    case "macs":
      return formatMacs(value);
    case "parameters":
      return formatCount(value);
    case "activation":
      return formatBytes(value);
    case "seconds":
      return formatDuration(value);
    case "joules":
      return formatJoules(value);
  }
}

/** From 0 to 1, as drawn: by the root, so that small ones are seen beside the largest. */
export const shareOf = (value: number | null, most: number): number => (value === null || most <= 0 ? 0 : Math.min(1, Math.sqrt(value / most)));

export interface Ranked {
  node: number;
  value: number;
  /** Of all layers together. */
  share: number;
}

/** The layers with the largest values, and how much of the whole they are. */
export function largestOf(network: Network, measure: Measure, content: Content, costs: Costs, count: number): Ranked[] {
  const valued = network.nodes.flatMap((node) => {
    const value = node.kind === "layer" ? measuredOf([node], measure, content, costs) : null;
    return value === null || value <= 0 ? [] : [{ node: node.index, value }];
  });
  const total = valued.reduce((sum, { value }) => sum + value, 0);
  return valued
    .sort((a, b) => b.value - a.value)
    .slice(0, count)
    .map((one) => ({ ...one, share: one.value / total }));
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
