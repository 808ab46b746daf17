/** The layers as rows: what the table shows of them, and what a search asks about. Pure. */
import type { Model } from "@/api/types";
import { own } from "@/app/own";
import { withHolders, type FoldTree } from "@/graph/folds";
import { at, type Network } from "@/graph/network";
import type { Subject } from "@/graph/query";
import { deviceOf, type Content } from "@/plan/content";
import { devicesOfLayer, divisionsOf } from "@/plan/divisions";
import type { Costs } from "@/profiles/costs";
import { measuredOf } from "@/editor/measure";
import type { Troubles } from "@/editor/troubles";

export interface LayerRow extends Subject {
  node: number;
  /** From 1, as the layers are given. */
  order: number;
  /** Whether what is wrong keeps the plan from running. */
  isError: boolean;
  /** The innermost block's fold; -1: none. */
  fold: number;
}

/** What a row knows besides the plan; it stays while the plan is edited. */
export interface RowSource {
  network: Network;
  tree: FoldTree;
  attributes: ReadonlyMap<string, Readonly<Record<string, string>>>;
  /** The blocks around each node, innermost first. */
  blocks: readonly (readonly string[])[];
}

export function rowSource(model: Pick<Model, "layers">, network: Network, tree: FoldTree): RowSource {
  const names = new Map<number, readonly string[]>([[-1, []]]);
  const blocks = network.nodes.map(({ index }) => {
    const fold = at(tree.foldOf, index);
    let known = names.get(fold);
    if (!known) names.set(fold, (known = withHolders(tree, fold).map((holder) => at(tree.folds, holder).name)));
    return known;
  });
  return { network, tree, attributes: new Map(model.layers.map(({ name, attributes }) => [name, attributes])), blocks };
}

const NO_ATTRIBUTES = {};

export function rowsOf({ network, tree, attributes, blocks }: RowSource, content: Content, costs: Costs, troubles: Troubles): LayerRow[] {
  const divisions = divisionsOf(content.shards);
  const rows: LayerRow[] = [];
  for (const node of network.nodes) {
    if (node.kind !== "layer") continue;
    const { index, name } = node;
    const place = own(content.placement, name);
    rows.push({
      node: index,
      order: rows.length + 1,
      name,
      kind: node.op,
      fold: at(tree.foldOf, index),
      blocks: at(blocks, index),
      shape: node.shape,
      macs: node.macs,
      params: node.parameters,
      weights: node.weightBytes,
      bytes: node.activationBytes,
      seconds: costs.size === 0 ? null : measuredOf([node], "seconds", content, costs),
      joules: costs.size === 0 ? null : measuredOf([node], "joules", content, costs),
      devices: [...new Set(devicesOfLayer(content, name).map((one) => deviceOf(content, one)))],
      attributes: attributes.get(name) ?? NO_ATTRIBUTES,
      warning: troubles.get(name)?.map(({ message }) => message).join(" ") ?? null,
      isError: troubles.get(name)?.[0]?.severity === "error",
      divided: divisions.has(name),
      replicated: place !== undefined && Object.hasOwn(content.rest.replicas, place),
    });
  }
  return rows;
}
