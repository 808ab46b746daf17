/** Selections among cards, some of which are folded blocks. */
import { describe, expect, it } from "vitest";
import { buildFolds } from "./folds";
import { CARD_HEIGHT, CARD_WIDTH } from "./box";
import { itemAt, itemsInRect, spanned } from "./hit";
import { layoutGraph } from "./layout";
import { at } from "./network";
import { anyNet, inceptionNet, residualNet } from "./samples";
import { betweenCards, layersInRect, layersOfItems, nodesOfItem, step } from "./select";

const scene = ({ network, blocks }: ReturnType<typeof residualNet>, open: readonly string[]) => {
  const tree = buildFolds(network, blocks);
  return { network, tree, layout: layoutGraph({ count: network.nodes.length, from: network.edges.map(({ from }) => from), to: network.edges.map(({ to }) => to), tree, window: { width: 900, height: 600 }, open }) };
};

describe("cards", () => {
  const { network, tree, layout } = scene(residualNet([3, 3]), ["stage1", "stage2", "residual2"]);
  const itemOf = (name: string) => layout.items.findIndex(({ fold }) => fold >= 0 && at(tree.folds, fold).name === name);

  it("between two of them are all on the way, folded ones whole, in either direction", () => {
    const [first, last] = [itemOf("residual1"), itemOf("residual3")];
    const wanted = ["residual1", "residual2", "residual3"].flatMap((name) => [...at(tree.folds, tree.byName.get(name) ?? -1).nodes]);
    expect(betweenCards(network, tree, layout, first, last)).toEqual(wanted.toSorted((a, b) => a - b));
    expect(betweenCards(network, tree, layout, last, first)).toEqual(betweenCards(network, tree, layout, first, last));
  });

  it("never bring the network's ends into a selection", () => {
    const all = layersOfItems(network, tree, layout.items, layout.items.map((_, item) => item));
    expect(all).toHaveLength(network.layerCount);
  });

  it("are walked into an open block and out of it", () => {
    const inside = new Set(at(tree.folds, tree.byName.get("residual2") ?? -1).nodes);
    const next = step(layout, itemOf("residual1"), "down");
    expect(next !== null && inside.has(at(layout.items, next).node)).toBe(true);
    expect(step(layout, itemOf("residual3"), "up")).toBe(layout.itemOf[Math.max(...inside)]);
  });

  it.each([0, 1, 2, 3])("are all reached by the arrow keys, whatever is open (%i)", (seed) => {
    const some = seed === 0 ? inceptionNet(4) : anyNet(seed, 50);
    const { layout: picture } = scene(some, seed % 2 === 0 ? [] : buildFolds(some.network, some.blocks).folds.map(({ name }) => name));
    const seen = new Set([0]);
    for (const item of seen) {
      for (const way of ["up", "down", "left", "right"] as const) {
        const next = step(picture, item, way);
        if (next !== null) seen.add(next);
      }
    }
    expect(seen.size).toBe(picture.items.length);
  });

  it("are in a box that was drawn over a corner of them, from whichever corner it was drawn; folded ones whole", () => {
    const item = itemOf("residual1");
    const { x, y } = at(layout.items, item);
    const inner = { x: x + CARD_WIDTH - 1, y: y + CARD_HEIGHT - 1 };
    const outer = { x: x + CARD_WIDTH + 8, y: y + CARD_HEIGHT + 8 };
    const whole = [...at(tree.folds, tree.byName.get("residual1") ?? -1).nodes];
    for (const [from, to] of [[inner, outer], [outer, inner], [{ x: inner.x, y: outer.y }, { x: outer.x, y: inner.y }]] as const) {
      expect(layersInRect(network, tree, layout.items, spanned(from, to))).toEqual(whole);
    }
    const beside = { x: x + CARD_WIDTH, y: y + CARD_HEIGHT };
    expect(layersInRect(network, tree, layout.items, spanned(beside, outer))).toEqual([]);
  });

  it("are hit where they stand, and nowhere else", () => {
    layout.items.forEach((item, index) => {
      expect(itemAt(layout.items, { x: item.x + 1, y: item.y + 1 })).toBe(index);
      expect(nodesOfItem(tree, item)[0]).toBe(item.node);
    });
    expect(itemAt(layout.items, { x: -500, y: -500 })).toBeNull();
    expect(itemsInRect(layout.items, { x: -1e6, y: -1e6, width: 2e6, height: 2e6 })).toHaveLength(layout.items.length);
  });
});
