/** Transitive reduction: which edges carry layout information, and which only skip along a longer path. */
import { at } from "./network";

export interface Edges {
  count: number;
  /** Nodes are numbered in topological order: `from[i] < to[i]`. */
  from: ArrayLike<number>;
  to: ArrayLike<number>;
}

const MAX_NODES = 16_000;

/** Return, for each edge, whether it survives the reduction. Above 16,000 nodes only the nearest successor survives. */
export function reduceEdges({ count, from, to }: Edges): boolean[] {
  const successors: number[][] = Array.from({ length: count }, () => []);
  for (let edge = 0; edge < from.length; edge += 1) at(successors, at(from, edge)).push(edge);
  const kept = new Array<boolean>(from.length).fill(false);
  for (const list of successors) list.sort((a, b) => at(to, a) - at(to, b));
  if (count > MAX_NODES) {
    for (const list of successors) if (list[0] !== undefined) kept[list[0]] = true;
    return kept;
  }

  const words = (count + 31) >>> 5;
  const reach = new Uint32Array(words * count);
  for (let node = count - 1; node >= 0; node -= 1) {
    const base = node * words;
    for (const edge of at(successors, node)) {
      const target = at(to, edge);
      const word = base + (target >>> 5);
      const bit = 1 << (target & 31);
      if ((at(reach, word) & bit) !== 0) continue;
      kept[edge] = true;
      const other = target * words;
      for (let i = target >>> 5; i < words; i += 1) reach[base + i] = at(reach, base + i) | at(reach, other + i);
      reach[word] = at(reach, word) | bit;
    }
  }
  return kept;
}
