/** Levels: the graph inside of one fold, or at the top, with all folds in it as single items. It is the same whatever is open. */
import type { FoldTree } from "./folds";
import { at } from "./network";
import { longestPathRanks, orderSlots, type Ranked } from "./rank";
import { reduceEdges, type Edges } from "./reduce";

export interface Level {
  /** -1: the top. */
  fold: number;
  /** Places 0 to count - 1: a fold, or else a node. In a fold, the first and the last are its ports: what comes in, what goes out. */
  items: readonly LevelItem[];
  edges: Edges;
  kept: readonly boolean[];
  ranked: Ranked;
}

export interface LevelItem {
  node: number;
  fold: number;
}

export interface LevelEdge {
  /** The fold of the level; -1 for the top. */
  level: number;
  edge: number;
}

export interface Levels {
  /** By fold, plus one: the top comes first. */
  levels: readonly Level[];
  /** The way of an edge of the network through the levels: out of folds, across, into folds. */
  wayOf: (edge: number) => readonly LevelEdge[];
}

const PORT: LevelItem = { node: -1, fold: -1 };

/** The ends of a level's edges before its items have places: nodes, folds (after all nodes), and the ports. */
interface Draft {
  items: LevelItem[];
  from: number[];
  to: number[];
  known: Map<number, number>;
}

/** Make all levels of a graph whose edges point from lower to higher node numbers. */
export function buildLevels({ count, from, to }: Edges, { folds, foldOf }: Pick<FoldTree, "folds" | "foldOf">): Levels {
  const chains = chainsOf(count, folds, foldOf);
  const [input, output] = [count + folds.length, count + folds.length + 1];
  const drafts = Array.from({ length: folds.length + 1 }, (): Draft => ({ items: [], from: [], to: [], known: new Map() }));
  for (let node = 0; node < count; node += 1) at(drafts, at(foldOf, node) + 1).items.push({ node, fold: -1 });
  for (const fold of folds) at(drafts, fold.parent + 1).items.push({ node: -1, fold: fold.index });
  const connect = (level: number, source: number, target: number): LevelEdge => {
    const draft = at(drafts, level + 1);
    const key = source * (output + 1) + target;
    let edge = draft.known.get(key);
    if (edge === undefined) {
      edge = draft.from.length;
      draft.known.set(key, edge);
      draft.from.push(source);
      draft.to.push(target);
    }
    return { level, edge };
  };
  const ways: LevelEdge[][] = [];
  for (let edge = 0; edge < from.length; edge += 1) {
    const [a, b] = [at(from, edge), at(to, edge)];
    const [above, below] = [at(chains, a), at(chains, b)];
    let depth = 0;
    while (depth < above.length && depth < below.length && above[depth] === below[depth]) depth += 1;
    const end = (chain: readonly number[], i: number, node: number) => (i < chain.length ? count + at(chain, i) : node);
    const way: LevelEdge[] = [];
    for (let i = above.length - 1; i >= depth; i -= 1) way.push(connect(at(above, i), end(above, i + 1, a), output));
    way.push(connect(depth === 0 ? -1 : at(above, depth - 1), end(above, depth, a), end(below, depth, b)));
    for (let i = depth; i < below.length; i += 1) way.push(connect(at(below, i), input, end(below, i + 1, b)));
    ways.push(way);
  }
  const first = ({ node, fold }: LevelItem) => (fold >= 0 ? at(at(folds, fold).nodes, 0) : node);
  const place = new Int32Array(output + 1);
  const levels = drafts.map((draft, index): Level => {
    const endOf = ({ node, fold }: LevelItem) => (fold >= 0 ? count + fold : node);
    draft.items.sort((a, b) => first(a) - first(b)).forEach((item, i) => (place[endOf(item)] = i));
    const inner = draft.from.flatMap((source, i) => (source === input || draft.to[i] === output ? [] : [[at(place, source), at(place, at(draft.to, i))] as const]));
    const ordered = topological(draft.items.length, inner).map((i) => at(draft.items, i));
    const items = index === 0 ? ordered : [PORT, ...ordered, PORT];
    items.forEach((item, i) => {
      if (item !== PORT) place[endOf(item)] = i;
    });
    place[input] = 0;
    place[output] = items.length - 1;
    return finish(index - 1, items, { count: items.length, from: draft.from.map((source) => at(place, source)), to: draft.to.map((target) => at(place, target)) });
  });
  return { levels, wayOf: (edge) => at(ways, edge) };
}

/** By node: the folds that hold it, outermost first. */
function chainsOf(count: number, folds: readonly { parent: number }[], foldOf: ArrayLike<number>): readonly (readonly number[])[] {
  const ofFold: (readonly number[])[] = [];
  folds.forEach(({ parent }, fold) => ofFold.push(parent < 0 ? [fold] : [...at(ofFold, parent), fold]));
  const none: readonly number[] = [];
  return Array.from({ length: count }, (_, node) => (at(foldOf, node) < 0 ? none : at(ofFold, at(foldOf, node))));
}

function finish(fold: number, items: readonly LevelItem[], edges: Edges): Level {
  const kept = reduceEdges(edges);
  return { fold, items, edges, kept, ranked: orderSlots(edges, kept, longestPathRanks(edges, kept, fold >= 0)) };
}

/** Numbers below `count` in an order in which every edge points forward, as near to the given one as its branches allow. */
function topological(count: number, edges: readonly (readonly [source: number, target: number])[]): number[] {
  if (edges.every(([a, b]) => a < b)) return Array.from({ length: count }, (_, i) => i);
  const next: number[][] = Array.from({ length: count }, () => []);
  for (const [a, b] of edges) at(next, a).push(b);
  for (const list of next) list.sort((a, b) => b - a);
  const seen = new Uint8Array(count);
  const order: number[] = [];
  for (let root = count - 1; root >= 0; root -= 1) {
    if (seen[root] !== 0) continue;
    const stack: [item: number, child: number][] = [[root, 0]];
    seen[root] = 1;
    for (let top = stack.at(-1); top; top = stack.at(-1)) {
      const child = at(next, top[0])[top[1]];
      top[1] += 1;
      if (child === undefined) {
        order.push(top[0]);
        stack.pop();
      } else if (seen[child] === 0) {
        seen[child] = 1;
        stack.push([child, 0]);
      }
    }
  }
  return order.reverse();
}
