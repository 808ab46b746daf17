/** Properties of the picture over generated networks: nothing overlaps, everything is connected, and opening moves no more than it must. */
import { describe, expect, it } from "vitest";
import { buildFolds, withHolders, type FoldTree } from "./folds";
import { CARD_HEIGHT, CARD_WIDTH, layoutGraph, READABLE_ZOOM, type Layout, type LayoutInput } from "./layout";
import { at } from "./network";
import { anyNet, chance, denseNet, inceptionNet, plainNet, residualNet, type Sample, oneBlock } from "./samples";

const WINDOW = { width: 900, height: 540 };

const samples: (readonly [string, Sample])[] = [
  ["residual", residualNet([3, 4, 6, 3])],
  ["dense", denseNet([6, 12, 8])],
  ["inception", inceptionNet(9)],
  ["plain", plainNet([4, 12, 30, 60])],
  ...Array.from({ length: 10 }, (_, seed) => [`any ${seed}`, anyNet(seed, 60 + seed * 12)] as const),
];

interface Case {
  input: LayoutInput;
  tree: FoldTree;
}

function caseOf({ network, blocks }: Sample): Case {
  const tree = buildFolds(network, blocks);
  return { tree, input: { count: network.nodes.length, from: network.edges.map(({ from }) => from), to: network.edges.map(({ to }) => to), tree, window: WINDOW } };
}

/** Some open folds, with all that hold them. */
function someOpen(tree: FoldTree, seed: number): string[] {
  const random = chance(seed);
  const open = new Set<number>();
  for (const { index } of tree.folds) if (random() < 0.5) for (const holder of withHolders(tree, index)) open.add(holder);
  return tree.folds.filter(({ index }) => open.has(index)).map(({ name }) => name);
}

const overlap = (a: Box, b: Box) => a.x < b.x + b.width - 0.5 && b.x < a.x + a.width - 0.5 && a.y < b.y + b.height - 0.5 && b.y < a.y + a.height - 0.5;

interface Box {
  x: number;
  y: number;
  width: number;
  height: number;
}

const cardBox = ({ x, y }: { x: number; y: number }): Box => ({ x, y, width: CARD_WIDTH, height: CARD_HEIGHT });

describe.each(samples)("the picture of a network (%s)", (_, sample) => {
  const { input, tree } = caseOf(sample);
  const { network } = sample;
  const ways = [null, [], tree.folds.map(({ name }) => name), someOpen(tree, 1), someOpen(tree, 2)];

  it("shows every node once, cards and frames apart or within one another", () => {
    for (const open of ways) {
      const layout = layoutGraph({ ...input, open });
      const shown = layout.items.flatMap(({ node, fold }) => (fold >= 0 ? at(tree.folds, fold).nodes : [node]));
      expect(shown.toSorted((a, b) => a - b)).toEqual(network.nodes.map(({ index }) => index));
      const cards = layout.items.map(cardBox);
      cards.forEach((card, i) => cards.slice(i + 1).forEach((other) => expect(overlap(card, other)).toBe(false)));
      for (const frame of layout.frames) {
        const inside = new Set(at(tree.folds, frame.fold).nodes);
        layout.items.forEach((item, i) => {
          const isWithin = item.x >= frame.x && item.y >= frame.y && item.x + CARD_WIDTH <= frame.x + frame.width && item.y + CARD_HEIGHT <= frame.y + frame.height;
          if (inside.has(item.node)) expect(isWithin).toBe(true);
          else expect(overlap(at(cards, i), frame)).toBe(false);
        });
      }
    }
  });

  it("draws each edge of the network once, or hides it within a card, from card to card", () => {
    for (const open of ways) {
      const layout = layoutGraph({ ...input, open });
      const drawn = layout.edges.flatMap(({ edges }) => edges);
      const hidden = network.edges.filter(({ from, to }) => layout.itemOf[from] === layout.itemOf[to]).map(({ index }) => index);
      expect([...drawn, ...hidden].sort((a, b) => a - b)).toEqual(network.edges.map(({ index }) => index));
      for (const { from, to, path, edges } of layout.edges) {
        expect(path).not.toContain("NaN");
        const [source, target] = [at(layout.items, from), at(layout.items, to)];
        expect(at(network.edges, at(edges, 0)).from).toSatisfy((node: number) => layout.itemOf[node] === from);
        const [x, y] = (/^M(-?[\d.]+) (-?[\d.]+)/.exec(path) ?? []).slice(1).map(Number) as [number, number];
        expect(touches(source, x, y), `start of ${path}`).toBe(true);
        const [endX, endY] = (/(-?[\d.]+) (-?[\d.]+)$/.exec(path) ?? []).slice(1).map(Number) as [number, number];
        expect(touches(target, endX, endY), `end of ${path}`).toBe(true);
      }
    }
  });

  it("is the same every time", () => {
    expect(layoutGraph({ ...input, open: ways[3] ?? [] })).toEqual(layoutGraph({ ...input, open: ways[3] ?? [] }));
  });

  it("stays when a fold is opened, but for its column: what is left of it and above it not at all, what is right of it only by width", () => {
    for (const base of [[], someOpen(tree, 3)]) {
      for (const fold of tree.folds) {
        if (base.includes(fold.name) || (fold.parent >= 0 && !base.includes(at(tree.folds, fold.parent).name))) continue;
        expectStable(tree, layoutGraph({ ...input, open: base, base }), layoutGraph({ ...input, open: [...base, fold.name], base }), fold.index);
      }
    }
  });

  it("comes back when the fold is closed again", () => {
    const base = someOpen(tree, 4);
    const before = layoutGraph({ ...input, open: base, base });
    const fold = tree.folds.find(({ name, parent }) => !base.includes(name) && (parent < 0 || base.includes(at(tree.folds, parent).name)));
    if (fold) layoutGraph({ ...input, open: [...base, fold.name], base });
    expect(layoutGraph({ ...input, open: before.open, base: before.base })).toEqual(before);
  });
});

function touches({ x, y }: { x: number; y: number }, px: number, py: number): boolean {
  return px >= x - 0.6 && px <= x + CARD_WIDTH + 0.6 && py >= y - 0.6 && py <= y + CARD_HEIGHT + 0.6;
}

/** Cards outside of the fold have moved no more than they must. */
function expectStable(tree: FoldTree, before: Layout, after: Layout, fold: number): void {
  const inside = new Set(at(tree.folds, fold).nodes);
  const closed = before.items.find((item) => item.fold === fold);
  const frame = after.frames.find((candidate) => candidate.fold === fold);
  expect(closed && frame).toBeTruthy();
  if (!closed || !frame) return;
  expect(frame.y).toBeCloseTo(closed.y);
  const grown = frame.height - CARD_HEIGHT;
  const right: number[] = [];
  for (const item of before.items) {
    if (inside.has(item.node)) continue;
    const now = at(after.items, at(after.itemOf, item.node));
    const [dx, dy] = [now.x - item.x, now.y - item.y];
    expect(dy).toBeGreaterThanOrEqual(-0.01);
    expect(dy).toBeLessThanOrEqual(grown + 0.01);
    if (dy > 0.01) expect(item.y).toBeGreaterThan(closed.y);
    expect(now.column).toBe(item.column);
    if (item.column < closed.column) expect([dx, dy]).toEqual([0, 0]);
    if (item.column > closed.column) {
      expect(dy).toBe(0);
      right.push(dx);
    }
  }
  // What is right of it moves as one, by as much as its column has grown.
  for (const dx of right) expect(dx).toBeCloseTo(at(right, 0));
  expect(right[0] ?? 0).toBeLessThanOrEqual(Math.max(frame.width - CARD_WIDTH, 0) + 0.01);
}

describe("what is open at first", () => {
  const first = (sample: Sample) => {
    const { input } = caseOf(sample);
    const layout = layoutGraph(input);
    return { layout, zoom: Math.min(1, WINDOW.width / layout.width, WINDOW.height / layout.height), folds: input.tree?.folds.length ?? 0 };
  };

  it("is all of a network that stays readable whole", () => {
    const { layout, folds } = first(inceptionNet(1));
    expect(folds).toBe(1);
    expect(layout.open).toHaveLength(folds);
  });

  it.each([
    ["ResNet-50", residualNet([3, 4, 6, 3])],
    ["ResNet-152", residualNet([3, 8, 36, 3])],
    ["DenseNet-121", denseNet([6, 12, 24, 16])],
    ["inception", inceptionNet(11)],
    ["a chain", plainNet([40, 40, 40, 40, 40])],
  ])("stays readable for %s", (_, sample) => {
    const { layout, zoom, folds } = first(sample);
    expect(zoom).toBeGreaterThanOrEqual(READABLE_ZOOM - 0.02);
    expect(layout.open.length).toBeLessThan(folds);
  });

  it("shows the stages of ResNet-50 with their blocks folded", () => {
    const { layout } = first(residualNet([3, 4, 6, 3]));
    expect(layout.open).toEqual(["stage1", "stage2", "stage3", "stage4"]);
    expect(layout.items.filter(({ fold }) => fold >= 0)).toHaveLength(16);
  });

  it("is more than one box that holds everything", () => {
    const { input } = caseOf(oneBlock(4, 12));
    expect(layoutGraph({ ...input, window: { width: 960, height: 450 } }).open).toEqual(["all"]);
    expect(layoutGraph({ ...input, window: { width: 960, height: 250 } }).open).toEqual([]);
  });

  it("follows the window", () => {
    const { input } = caseOf(residualNet([3, 4, 6, 3]));
    expect(layoutGraph({ ...input, window: { width: 4000, height: 2600 } }).frames).toHaveLength(20);
    expect(layoutGraph({ ...input, window: { width: 420, height: 420 } }).frames).toHaveLength(0);
  });
});

describe("labels", () => {
  it.each(samples)("of edges lie on no card where there is room (%s)", (name, sample) => {
    const { input } = caseOf(sample);
    const layout = layoutGraph({ ...input, open: [] });
    const covered = layout.edges.filter(({ label: [x, y] }) => layout.items.some((item) => overlap(cardBox(item), { x: x - 20, y: y - 7, width: 40, height: 14 })));
    // Tangles of branches leave hardly any.
    expect(covered.length).toBeLessThanOrEqual(name.startsWith("any") ? layout.edges.length * 0.05 : 0);
  });
});
