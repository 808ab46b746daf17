import { describe, expect, it } from "vitest";
import { CARD_HEIGHT, CARD_WIDTH } from "./box";
import { buildFolds } from "./folds";
import { itemsInRect } from "./hit";
import { InView } from "./inView";
import { layoutGraph } from "./layout";
import { at } from "./network";
import { chance, denseNet, residualNet } from "./samples";

function laidOut({ network, blocks }: ReturnType<typeof residualNet>) {
  const tree = buildFolds(network, blocks);
  return layoutGraph({ count: network.nodes.length, from: network.edges.map(({ from }) => from), to: network.edges.map(({ to }) => to), tree, window: { width: 1200, height: 700 }, open: tree.folds.map(({ name }) => name) });
}

describe.each([["ResNet", residualNet([6, 6])], ["DenseNet", denseNet([8, 8])]])("what is in view of a %s", (_, sample) => {
  const layout = laidOut(sample);
  const random = chance(5);
  const somewhere = () => ({ x: random() * layout.width - 200, y: random() * layout.height - 200, width: 100 + random() * 900, height: 100 + random() * 500 });

  it("is every card and frame that the window touches, and no other", () => {
    const index = new InView(layout);
    for (let i = 0; i < 60; i += 1) {
      const rect = somewhere();
      const seen = index.within(rect);
      expect(seen.items).toEqual(itemsInRect(layout.items, rect));
      expect(seen.frames).toEqual(layout.frames.flatMap(({ x, y, width, height }, frame) => (x < rect.x + rect.width && rect.x < x + width && y < rect.y + rect.height && rect.y < y + height ? [frame] : [])));
    }
  });

  it("is every edge of which a corner is there, and both ends of none that is far away", () => {
    const index = new InView(layout);
    for (let i = 0; i < 60; i += 1) {
      const rect = somewhere();
      const seen = new Set(index.within(rect).edges);
      layout.edges.forEach(({ path }, edge) => {
        const numbers = (path.match(/-?\d+(\.\d+)?/g) ?? []).map(Number);
        const isInside = numbers.some((x, place) => place % 2 === 0 && x > rect.x && x < rect.x + rect.width && at(numbers, place + 1) > rect.y && at(numbers, place + 1) < rect.y + rect.height);
        if (isInside) expect(seen.has(edge)).toBe(true);
      });
    }
    expect(index.within({ x: -9000, y: -9000, width: 800, height: 600 })).toEqual({ items: [], frames: [], edges: [] });
  });

  it("stays the same object while a movement brings nothing new", () => {
    const index = new InView(layout);
    const { x, y } = at(layout.items, 3);
    const rect = { x: x + 5, y: y + 5, width: CARD_WIDTH - 20, height: CARD_HEIGHT - 20 };
    const seen = index.within(rect);
    expect(index.within({ ...rect, x: rect.x + 1 })).toBe(seen);
    expect(index.within({ ...rect, x: rect.x + 2 * CARD_WIDTH })).not.toBe(seen);
  });
});
