/** Selections that follow the graph. */
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

/** The next node in a direction: up and down along the edges, left and right in the rank. */
export function step(
  network: Network,
  layout: { ranks: readonly number[]; orders: readonly number[]; positions: readonly (readonly [number, number])[] },
  node: number,
  direction: "up" | "down" | "left" | "right",
): number | null {
  if (direction === "up" || direction === "down") {
    const down = direction === "down";
    const list = at(down ? network.outgoing : network.incoming, node).map((edge) => {
      const { from, to } = at(network.edges, edge);
      return down ? to : from;
    });
    // The nearest in rank is the main path; a skip edge leads farther.
    const rank = at(layout.ranks, node);
    list.sort((a, b) => Math.abs(at(layout.ranks, a) - rank) - Math.abs(at(layout.ranks, b) - rank) || at(layout.orders, a) - at(layout.orders, b));
    return list[0] ?? null;
  }
  const wanted = at(layout.orders, node) + (direction === "right" ? 1 : -1);
  const rank = at(layout.ranks, node);
  const sibling = network.nodes.findIndex((_, i) => layout.ranks[i] === rank && layout.orders[i] === wanted);
  if (sibling >= 0) return sibling;
  return nearestInNextColumn(layout.positions, node, direction);
}

function nearestInNextColumn(positions: readonly (readonly [number, number])[], node: number, direction: "left" | "right"): number | null {
  const [x, y] = at(positions, node);
  let best: number | null = null;
  let least = Infinity;
  positions.forEach(([px, py], i) => {
    const dx = direction === "right" ? px - x : x - px;
    if (dx < 60) return;
    const cost = dx + 3 * Math.abs(py - y);
    if (cost < least) {
      least = cost;
      best = i;
    }
  });
  return best;
}

/** Layers whose name, kind or device contains the words; all words must match. */
export function search(network: Network, query: string, deviceOf: (layer: string) => string | undefined): number[] {
  const words = query.toLowerCase().split(/\s+/).filter(Boolean);
  if (words.length === 0) return [];
  return network.nodes
    .filter((node) => node.kind === "layer")
    .filter((node) => {
      const text = `${node.op} ${node.name} ${deviceOf(node.name) ?? "unplaced"}`.toLowerCase();
      return words.every((word) => text.includes(word));
    })
    .map((node) => node.index);
}
