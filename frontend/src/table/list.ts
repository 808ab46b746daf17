/** What stands below one another in the table: rows, or rows under their blocks. Pure. */
import { withHolders, type FoldTree } from "@/graph/folds";
import { at } from "@/graph/network";
import type { LayerRow } from "./rows";

export interface GroupItem {
  kind: "group";
  /** The fold; -1 for layers in no block. */
  fold: number;
  name: string;
  rows: readonly LayerRow[];
  isOpen: boolean;
}

export interface RowItem {
  kind: "row";
  row: LayerRow;
}

export type Item = GroupItem | RowItem;

export const plainList = (rows: readonly LayerRow[]): Item[] => rows.map((row) => ({ kind: "row", row }));

/** Rows under the innermost blocks that hold them; blocks in the order of the network, rows in their own. */
export function groupedList(rows: readonly LayerRow[], tree: FoldTree, closed: ReadonlySet<number>): Item[] {
  const groups = new Map<number, LayerRow[]>();
  for (const row of rows) {
    const group = groups.get(row.fold);
    if (group) group.push(row);
    else groups.set(row.fold, [row]);
  }
  const begins = (fold: number) => (fold < 0 ? -1 : at(at(tree.folds, fold).nodes, 0));
  return [...groups]
    .sort(([a], [b]) => begins(a) - begins(b))
    .flatMap(([fold, members]): Item[] => {
      const isOpen = !closed.has(fold);
      const name = fold < 0 ? "In no block" : withHolders(tree, fold).reverse().map((holder) => at(tree.folds, holder).name).join(" › ");
      return [{ kind: "group", fold, name, rows: members, isOpen }, ...(isOpen ? plainList(members) : [])];
    });
}

/** All nodes from one place of the list to another, both included; a folded group is meant whole. */
export function range(items: readonly Item[], from: number, to: number): number[] {
  const [low, high] = from < to ? [from, to] : [to, from];
  const nodes = items.slice(low, high + 1).flatMap((item) => (item.kind === "row" ? [item.row.node] : item.isOpen ? [] : item.rows.map(({ node }) => node)));
  return [...new Set(nodes)];
}

export const nodesOf = (item: Item): number[] => (item.kind === "row" ? [item.row.node] : item.rows.map(({ node }) => node));

/** Where a node stands; inside a folded group, the group; -1 where it is not shown. */
export function placeOf(items: readonly Item[], node: number): number {
  const place = items.findIndex((item) => item.kind === "row" && item.row.node === node);
  return place >= 0 ? place : items.findIndex((item) => item.kind === "group" && !item.isOpen && item.rows.some((row) => row.node === node));
}
