/** Ranks, and the order and position of what stands in each: real nodes, and bends of edges that pass through. */
import { at } from "./network";
import type { Edges } from "./reduce";

/** A node, or (with `node < 0`) the place where an edge passes through a rank. */
export interface Slot {
  node: number;
  edge: number;
  rank: number;
  /** How far it reaches to either side of `x`, where edges come in. */
  left: number;
  right: number;
  x: number;
  upper: Slot[];
  lower: Slot[];
}

export interface Ranked {
  ranks: Slot[][];
  /** By node. */
  slots: Slot[];
  /** By edge: the slots that a kept edge passes, ends included; empty for a reduced edge. */
  chains: Slot[][];
}

export const BEND_WIDTH = 12;
const MAX_BENDS = 60_000;

/**
 * Longest-path ranks over the kept edges; a source stands just above its nearest consumer.
 *
 * With ports the first item stands above all others, and the last below them.
 */
export function longestPathRanks({ count, from, to }: Edges, kept: readonly boolean[], ports = false): Int32Array {
  const rank = new Int32Array(count);
  if (ports) rank.fill(1, 1);
  const byTarget: number[][] = Array.from({ length: count }, () => []);
  for (let edge = 0; edge < from.length; edge += 1) if (kept[edge]) at(byTarget, at(to, edge)).push(at(from, edge));
  for (let node = 0; node < count; node += 1) {
    for (const source of at(byTarget, node)) rank[node] = Math.max(at(rank, node), at(rank, source) + 1);
  }
  const nearest = new Int32Array(count).fill(-1);
  for (let edge = 0; edge < from.length; edge += 1) {
    if (!kept[edge]) continue;
    const source = at(from, edge);
    const below = at(rank, at(to, edge));
    if (at(nearest, source) < 0 || below < at(nearest, source)) nearest[source] = below;
  }
  for (let node = 0; node < count; node += 1) {
    const isPort = ports && (node === 0 || node === count - 1);
    if (!isPort && at(byTarget, node).length === 0 && at(nearest, node) > 0) rank[node] = at(nearest, node) - 1;
  }
  if (ports) rank[count - 1] = rank.reduce((most, value, node) => (node === count - 1 ? most : Math.max(most, value)), 0) + 1;
  return rank;
}

/** Put nodes and bends into their ranks, and order each rank by barycentre. Depends on the edges only, not on sizes. */
export function orderSlots({ count, from, to }: Edges, kept: readonly boolean[], rank: Int32Array): Ranked {
  const ranked = fillRanks({ count, from, to }, kept, rank);
  if (ranked.ranks.every((slots) => slots.length === 1)) return ranked;
  for (let sweep = 0; sweep < 6; sweep += 1) {
    const down = sweep % 2 === 0;
    for (const slots of down ? ranked.ranks : ranked.ranks.toReversed()) sortRank(slots, down);
  }
  return ranked;
}

/** Give the slots of consecutive ranks their x. Slots of other ranks have no say. */
export function spread(ranks: readonly Slot[][], gap: number): void {
  for (const slots of ranks) pack(slots, gap);
  if (ranks.every((slots) => slots.length === 1)) return;
  const inside = new Set(ranks.flat());
  // The last sweep goes down, so that branches hang straight from where they part.
  for (let sweep = 0; sweep < 7; sweep += 1) {
    const down = sweep % 2 === 0;
    for (const slots of down ? ranks : ranks.toReversed()) {
      settle(slots, gap, (slot) => mean((down ? slot.upper : slot.lower).filter((other) => inside.has(other))) ?? slot.x);
    }
  }
}

function fillRanks({ count, from, to }: Edges, kept: readonly boolean[], rank: Int32Array): Ranked {
  const height = rank.reduce((most, value) => Math.max(most, value + 1), 0);
  const ranks: Slot[][] = Array.from({ length: height }, () => []);
  const put = (node: number, edge: number, level: number): Slot => {
    const half = node < 0 ? BEND_WIDTH / 2 : 0;
    const slot: Slot = { node, edge, rank: level, left: half, right: half, x: 0, upper: [], lower: [] };
    at(ranks, level).push(slot);
    return slot;
  };
  const slots = Array.from({ length: count }, (_, node) => put(node, -1, at(rank, node)));
  let bends = 0;
  const chains = Array.from({ length: from.length }, (_, edge): Slot[] => {
    if (!kept[edge]) return [];
    const source = at(slots, at(from, edge));
    const target = at(slots, at(to, edge));
    const chain = [source];
    bends += target.rank - source.rank - 1;
    if (bends < MAX_BENDS) {
      for (let level = source.rank + 1; level < target.rank; level += 1) chain.push(put(-1, edge, level));
    }
    chain.push(target);
    for (let i = 1; i < chain.length; i += 1) {
      at(chain, i - 1).lower.push(at(chain, i));
      at(chain, i).upper.push(at(chain, i - 1));
    }
    return chain;
  });
  for (const list of ranks) list.forEach((slot, order) => (slot.x = order));
  return { ranks, slots, chains };
}

function mean(slots: readonly Slot[]): number | null {
  if (slots.length === 0) return null;
  return slots.reduce((sum, slot) => sum + slot.x, 0) / slots.length;
}

function sortRank(rank: Slot[], down: boolean): void {
  if (rank.length < 2) return;
  const key = new Map(rank.map((slot) => [slot, mean(down ? slot.upper : slot.lower) ?? slot.x]));
  rank.sort((a, b) => (key.get(a) ?? 0) - (key.get(b) ?? 0));
  // Orders of ranks of different length compare by their place from the middle.
  rank.forEach((slot, order) => (slot.x = order - (rank.length - 1) / 2));
}

function pack(rank: readonly Slot[], gap: number): void {
  const total = rank.reduce((sum, slot) => sum + slot.left + slot.right, 0) + gap * (rank.length - 1);
  const [first] = rank;
  let left = rank.length === 1 && first ? -first.left : -total / 2;
  for (const slot of rank) {
    slot.x = left + slot.left;
    left += slot.left + slot.right + gap;
  }
}

/** Move slots to where they want to be, as near as order and gap allow (isotonic regression, pool adjacent violators). */
export function settle(rank: readonly Slot[], gap: number, wish: (slot: Slot) => number): void {
  const blocks: { sum: number; weight: number; size: number }[] = [];
  const offsets: number[] = [];
  let offset = 0;
  rank.forEach((slot, i) => {
    const before = rank[i - 1];
    if (before) offset += before.right + gap + slot.left;
    offsets.push(offset);
    const weight = slot.node < 0 ? 3 : 1;
    blocks.push({ sum: (wish(slot) - offset) * weight, weight, size: 1 });
    for (;;) {
      const last = blocks.at(-1);
      const previous = blocks.at(-2);
      if (!last || !previous || previous.sum / previous.weight <= last.sum / last.weight) break;
      blocks.splice(-2, 2, { sum: previous.sum + last.sum, weight: previous.weight + last.weight, size: previous.size + last.size });
    }
  });
  let i = 0;
  for (const block of blocks) {
    for (let k = 0; k < block.size; k += 1, i += 1) at(rank, i).x = block.sum / block.weight + at(offsets, i);
  }
}
