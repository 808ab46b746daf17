/** Selections that follow the graph. */
import type { FoldTree } from "./folds";
import { itemsInRect, type Rect } from "./hit";
import type { Layout, ShownItem } from "./layout";
import { at, type Network } from "./network";

function reachable(network: Network, start: number, down: boolean): Set<number> {
  const seen = new Set([start]);
  const open = [start];
  for (let node = open.pop(); node !== undefined; node = open.pop()) {
    for (const edge of at(down ? network.outgoing : network.incoming, node)) {
      const next = down ? at(network.edges, edge).to : at(network.edges, edge).from;
      if (seen.has(next)) continue;
      seen.add(next);
      open.push(next);
    }
  }
  return seen;
}

/** All layers on the paths between two nodes, both included; where no path joins them, all between them in order. */
export function between(network: Network, a: number, b: number): number[] {
  const [from, to] = a < b ? [a, b] : [b, a];
  const down = reachable(network, from, true);
  const inside = (node: number) => at(network.nodes, node).kind === "layer";
  if (down.has(to)) {
    const up = reachable(network, to, false);
    return [...down].filter((node) => up.has(node) && inside(node)).sort((x, y) => x - y);
  }
  return Array.from({ length: to - from + 1 }, (_, i) => from + i).filter(inside);
}

/** The same between two cards: what folds among them hold is meant whole. */
export function betweenCards(network: Network, tree: FoldTree, { items, itemOf, edges }: Pick<Layout, "items" | "itemOf" | "edges">, a: number, b: number): number[] {
  const outgoing: number[][] = items.map(() => []);
  const incoming: number[][] = items.map(() => []);
  for (const { from, to } of edges) {
    at(outgoing, from).push(to);
    at(incoming, to).push(from);
  }
  for (const [from, to] of [[a, b], [b, a]] as const) {
    const down = closure(outgoing, from);
    if (!down.has(to)) continue;
    const up = closure(incoming, to);
    return layersOfItems(network, tree, items, [...down].filter((item) => up.has(item)));
  }
  const [low, high] = [at(items, a), at(items, b)].map((item) => nodesOfItem(tree, item)).flatMap((nodes) => [nodes[0] ?? 0, nodes.at(-1) ?? 0]).reduce(([least, most], node) => [Math.min(least, node), Math.max(most, node)] as [number, number], [Infinity, -Infinity] as [number, number]);
  const touched = new Set(Array.from({ length: high - low + 1 }, (_, i) => at(itemOf, low + i)));
  return layersOfItems(network, tree, items, [...touched]);
}

function closure(next: readonly (readonly number[])[], start: number): Set<number> {
  const seen = new Set([start]);
  for (const item of seen) for (const other of at(next, item)) seen.add(other);
  return seen;
}

/** The nodes that a card shows. */
export function nodesOfItem({ folds }: Pick<FoldTree, "folds">, { node, fold }: Pick<ShownItem, "node" | "fold">): readonly number[] {
  return fold >= 0 ? at(folds, fold).nodes : [node];
}

/** The layers among what these cards show, in order. */
export function layersOfItems(network: Network, tree: FoldTree, items: readonly ShownItem[], chosen: readonly number[]): number[] {
  return chosen
    .flatMap((item) => nodesOfItem(tree, at(items, item)))
    .filter((node) => at(network.nodes, node).kind === "layer")
    .sort((x, y) => x - y);
}

/** The layers of the cards that a rectangle touches; folded ones are meant whole. */
export const layersInRect = (network: Network, tree: FoldTree, items: readonly ShownItem[], rect: Rect): number[] => layersOfItems(network, tree, items, itemsInRect(items, rect));

/** The next card in a direction: up and down along the edges, left and right in the rank. */
export function step({ items, edges, ranks, orders }: Pick<Layout, "items" | "edges" | "ranks" | "orders">, item: number, direction: "up" | "down" | "left" | "right"): number | null {
  const rank = at(ranks, item);
  if (direction === "up" || direction === "down") {
    const down = direction === "down";
    const list = edges.flatMap(({ from, to }) => (down ? (from === item ? [to] : []) : to === item ? [from] : []));
    // The nearest in rank is the main path; a skip edge leads farther.
    list.sort((a, b) => Math.abs(at(ranks, a) - rank) - Math.abs(at(ranks, b) - rank) || at(orders, a) - at(orders, b));
    return list[0] ?? null;
  }
  const wanted = at(orders, item) + (direction === "right" ? 1 : -1);
  const sibling = ranks.findIndex((other, i) => other === rank && orders[i] === wanted);
  return sibling >= 0 ? sibling : nearestInNextColumn(items, item, direction);
}

function nearestInNextColumn(items: readonly ShownItem[], item: number, direction: "left" | "right"): number | null {
  const { x, y } = at(items, item);
  let best: number | null = null;
  let least = Infinity;
  items.forEach((other, i) => {
    const dx = direction === "right" ? other.x - x : x - other.x;
    if (dx < 60) return;
    const cost = dx + 3 * Math.abs(other.y - y);
    if (cost < least) {
      least = cost;
      best = i;
    }
  });
  return best;
}
