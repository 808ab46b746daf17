import { expect, it } from "vitest";
import { marksOf } from "@/devices/palette";
import { content } from "@/plan/samples";
import { plainNet } from "@/graph/samples";
import { buildFolds } from "@/graph/folds";
import { layoutGraph } from "@/graph/layout";
import { fillsOf, paint, type Ink, type Picture } from "./paint";

/** A surface that notes how strongly each rectangle was filled. */
function surface() {
  const fills: { x: number; alpha: number; style: string }[] = [];
  const context = {
    globalAlpha: 1,
    fillStyle: "",
    setTransform: () => undefined,
    clearRect: () => undefined,
    strokeRect: () => undefined,
    fillRect: (x: number) => fills.push({ x, alpha: context.globalAlpha, style: context.fillStyle }),
  };
  return { context: context as unknown as CanvasRenderingContext2D, fills };
}

const ink: Ink = { canvas: "c", panel: "p", line: "l", text: "t", dim: "d", edge: "e", accent: "a", hit: "h", bad: "b", warn: "w", gone: "g", devices: Array.from({ length: 8 }, (_, i) => `device ${i}`), heat: [] };

it("what is not looked for is faint with its devices' colours, and what is found is not", () => {
  const { network, blocks } = plainNet([4]);
  const tree = buildFolds(network, blocks);
  const layout = layoutGraph({ count: network.nodes.length, from: network.edges.map(({ from }) => from), to: network.edges.map(({ to }) => to), tree, window: { width: 900, height: 600 }, open: [] });
  const plan = content(Object.fromEntries([...network.layerIndex.keys()].map((name) => [name, "pi-1"])));
  const found = layout.items.findIndex(({ node }) => network.nodes[node]?.kind === "layer");
  const picture: Picture = {
    layout, tree, fills: fillsOf(network, tree, layout, plan, null), strokes: null, marks: marksOf([{ name: "pi-1" }]), heats: null, blamed: null,
    outline: [], trouble: [], faint: layout.items.map((_, item) => item !== found),
  };
  const { context, fills } = surface();
  paint(context, picture, ink, { camera: { x: 0, y: 0, zoom: 0.1 }, width: 900, height: 600, density: 1 });
  const coloured = fills.filter(({ style }) => style.startsWith("device"));
  expect(coloured).toHaveLength(network.layerCount);
  expect(coloured.filter(({ alpha }) => alpha === 1)).toHaveLength(1);
  expect(Math.max(...coloured.filter(({ alpha }) => alpha < 1).map(({ alpha }) => alpha))).toBeLessThan(0.3);
});
