/** Folds: what of a network can be shown as one card. A tree: stages hold blocks, blocks hold layers. */
import type { Block } from "./blocks";
import { at, type Network } from "./network";
import { plainRuns } from "./runs";

export interface Fold {
  index: number;
  /** The block's, unique. */
  name: string;
  kind: string;
  /** All its layers, those of folds inside too; ascending. */
  nodes: readonly number[];
  /** -1: at the top. */
  parent: number;
  depth: number;
  children: readonly number[];
}

export interface FoldTree {
  folds: readonly Fold[];
  /** The innermost fold of each node; -1 where none holds it. */
  foldOf: Int32Array;
  byName: ReadonlyMap<string, number>;
}

interface Draft {
  block: Block;
  nodes: number[];
  parent: Draft | null;
}

/** Make the tree of blocks and plain runs. What overlaps, holds nothing, or would close a circle when folded is left out. */
export function buildFolds(network: Network, blocks: readonly Block[]): FoldTree {
  let drafts = nest(network, [...blocks, ...plainRuns(network, blocks)]);
  for (;;) {
    const bad = inCircles(network, drafts);
    if (bad.size === 0) return freeze(network, drafts);
    for (const draft of drafts) while (draft.parent !== null && bad.has(draft.parent)) draft.parent = draft.parent.parent;
    drafts = drafts.filter((draft) => !bad.has(draft));
  }
}

function nest(network: Network, blocks: readonly Block[]): Draft[] {
  const drafts: Draft[] = [];
  const holder = new Map<number, Draft>();
  const largestFirst = blocks
    .map((block) => ({ block, nodes: [...new Set(block.layers.flatMap((layer) => network.layerIndex.get(layer) ?? []))].sort((a, b) => a - b) }))
    .sort((a, b) => b.nodes.length - a.nodes.length);
  for (const { block, nodes } of largestFirst) {
    const [first] = nodes;
    if (first === undefined || nodes.length < 2) continue;
    const parent = holder.get(first) ?? null;
    const fits = nodes.every((node) => (holder.get(node) ?? null) === parent) && parent?.nodes.length !== nodes.length;
    if (!fits) continue;
    const draft = { block, nodes, parent };
    drafts.push(draft);
    for (const node of nodes) holder.set(node, draft);
  }
  return drafts.sort((a, b) => at(a.nodes, 0) - at(b.nodes, 0) || b.nodes.length - a.nodes.length);
}

function freeze(network: Network, drafts: readonly Draft[]): FoldTree {
  const indexOf = new Map(drafts.map((draft, index) => [draft, index]));
  const foldOf = new Int32Array(network.nodes.length).fill(-1);
  const depthOf = (draft: Draft): number => (draft.parent === null ? 0 : depthOf(draft.parent) + 1);
  const children: number[][] = drafts.map(() => []);
  const folds = drafts.map((draft, index): Fold => {
    for (const node of draft.nodes) foldOf[node] = index;
    const parent = draft.parent === null ? -1 : (indexOf.get(draft.parent) ?? -1);
    if (parent >= 0) at(children, parent).push(index);
    return { index, name: draft.block.name, kind: draft.block.kind, nodes: draft.nodes, parent, depth: depthOf(draft), children: at(children, index) };
  });
  return { folds, foldOf, byName: new Map(folds.map(({ name, index }) => [name, index])) };
}

/** Of each level the largest draft on a circle of its graph, in which all drafts of the level are folded. */
function inCircles(network: Network, drafts: readonly Draft[]): Set<Draft> {
  const innermost = new Map<number, Draft>();
  for (const draft of drafts) for (const node of draft.nodes) innermost.set(node, draft);
  const chain = (node: number): (Draft | null)[] => {
    const result: (Draft | null)[] = [];
    for (let draft = innermost.get(node) ?? null; draft; draft = draft.parent) result.unshift(draft);
    return [null, ...result];
  };
  const levels = new Map<Draft | null, Map<Draft | number, Set<Draft | number>>>();
  for (const { from, to } of network.edges) {
    const [above, below] = [chain(from), chain(to)];
    let depth = 0;
    while (depth + 1 < above.length && depth + 1 < below.length && above[depth + 1] === below[depth + 1]) depth += 1;
    const [a, b] = [above[depth + 1] ?? from, below[depth + 1] ?? to];
    if (a === b) continue;
    const level = above[depth] ?? null;
    let edges = levels.get(level);
    if (!edges) levels.set(level, (edges = new Map()));
    for (const item of [a, b]) if (!edges.has(item)) edges.set(item, new Set());
    edges.get(a)?.add(b);
  }
  const bad = new Set<Draft>();
  for (const edges of levels.values()) {
    const drafted = remaining(edges).filter((item) => typeof item !== "number");
    const worst = drafted.reduce<Draft | null>((most, item) => (most === null || item.nodes.length > most.nodes.length ? item : most), null);
    if (worst) bad.add(worst);
  }
  return bad;
}

/** What is left of a graph when everything without a predecessor is taken away, again and again: its circles and what hangs on them. */
function remaining<T>(edges: ReadonlyMap<T, ReadonlySet<T>>): T[] {
  const incoming = new Map<T, number>([...edges.keys()].map((item) => [item, 0]));
  for (const targets of edges.values()) for (const target of targets) incoming.set(target, (incoming.get(target) ?? 0) + 1);
  const open = [...edges.keys()].filter((item) => incoming.get(item) === 0);
  for (let item = open.pop(); item !== undefined; item = open.pop()) {
    incoming.delete(item);
    for (const target of edges.get(item) ?? []) {
      const left = (incoming.get(target) ?? 1) - 1;
      incoming.set(target, left);
      if (left === 0) open.push(target);
    }
  }
  return [...incoming.keys()];
}

/** A fold and those that hold it, innermost first. */
export function withHolders(tree: FoldTree, fold: number): number[] {
  const result: number[] = [];
  for (let index = fold; index >= 0; index = at(tree.folds, index).parent) result.push(index);
  return result;
}

/** The outermost closed fold that hides a node; -1 when the node itself is shown. */
export function shownFold(tree: FoldTree, node: number, isOpen: (fold: number) => boolean): number {
  let hidden = -1;
  for (const fold of withHolders(tree, at(tree.foldOf, node))) if (!isOpen(fold)) hidden = fold;
  return hidden;
}

/** Ways to show a network, from everything open to everything folded; each is the names of the open folds. */
export function openings(tree: FoldTree): string[][] {
  const named = (wanted: (fold: Fold) => boolean) => tree.folds.filter(wanted).map(({ name }) => name);
  const all = named(() => true);
  const holders = named(({ children }) => children.length > 0);
  const steps = [all];
  if (holders.length < all.length && holders.length > 0) steps.push(holders);
  if (all.length > 0) steps.push([]);
  return steps;
}

/** All folds like one: of its kind, at its depth. */
export function alike(tree: FoldTree, fold: number): Fold[] {
  const { kind, depth } = at(tree.folds, fold);
  return tree.folds.filter((other) => other.kind === kind && other.depth === depth);
}
