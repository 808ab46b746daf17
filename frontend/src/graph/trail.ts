/** Where a layer is: network, stage, block, layer; and what stands beside each of them. */
import { withHolders, type FoldTree } from "./folds";
import { at, type Network } from "./network";

/** A block, or a layer. */
export type Place = { kind: "fold"; fold: number } | { kind: "layer"; node: number };

/** From the outermost block to the layer; a closed fold ends it, as long as the fold is what is seen. */
export function trailOf(tree: FoldTree, node: number, shownFold: number): Place[] {
  const innermost = shownFold >= 0 ? shownFold : at(tree.foldOf, node);
  const folds = withHolders(tree, innermost).reverse().map((fold): Place => ({ kind: "fold", fold }));
  return shownFold >= 0 ? folds : [...folds, { kind: "layer", node }];
}

export const nodesOfPlace = (tree: FoldTree, place: Place): readonly number[] => (place.kind === "fold" ? at(tree.folds, place.fold).nodes : [place.node]);

/** The fold that holds a place; -1: the network itself. */
export const holderOf = (tree: FoldTree, place: Place): number => (place.kind === "fold" ? at(tree.folds, place.fold).parent : at(tree.foldOf, place.node));

export const samePlace = (a: Place, b: Place): boolean => (a.kind === "fold" ? b.kind === "fold" && a.fold === b.fold : b.kind === "layer" && a.node === b.node);

/** The blocks and layers directly inside a fold, or inside the network (-1), in its order. */
export function insideOf(network: Network, tree: FoldTree, holder: number): Place[] {
  const layers = network.nodes.flatMap(({ index, kind }): Place[] => (kind === "layer" && at(tree.foldOf, index) === holder ? [{ kind: "layer", node: index }] : []));
  const folds = tree.folds.flatMap(({ index, parent }): Place[] => (parent === holder ? [{ kind: "fold", fold: index }] : []));
  const begins = (place: Place) => at(nodesOfPlace(tree, place), 0);
  return [...folds, ...layers].sort((a, b) => begins(a) - begins(b));
}

/** At most so many, around one of them. */
export function around<T>(items: readonly T[], middle: number, most: number): readonly T[] {
  const start = Math.max(0, Math.min(middle - Math.floor(most / 2), items.length - most));
  return items.slice(start, start + most);
}
