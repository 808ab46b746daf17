import { describe, expect, it } from "vitest";
import { fitRect, itemAt, itemsInRect } from "./hit";
import { CARD_HEIGHT, CARD_WIDTH, layoutGraph } from "./layout";
import { at, buildNetwork, type LayerSource, type NetworkSource } from "./network";
import { roundedPath, simplify } from "./path";
import { longestPathRanks, settle, type Slot } from "./rank";
import { reduceEdges, type Edges } from "./reduce";
import { between, step } from "./select";
import { breakColumns, breakEvenly } from "./wrap";

const edges = (count: number, pairs: readonly (readonly [number, number])[]): Edges => ({
  count,
  from: pairs.map(([from]) => from),
  to: pairs.map(([, to]) => to),
});

const layer = (name: string, inputs: string[], op = "Conv"): LayerSource => ({
  name,
  op_type: op,
  inputs,
  outputs: [`${name}:0`],
  output_shape: [1, 4],
  macs: 10,
  parameters: 2,
  weight_bytes: 8,
  activation_bytes: 16,
});

/** input -> a -> b -> c -> d -> output, and a -> d beside. */
const residual: NetworkSource = {
  layers: [layer("a", ["x"]), layer("b", ["a:0"], "Relu"), layer("c", ["b:0"]), layer("d", ["c:0", "a:0"], "Add")],
  tensors: ["a", "b", "c", "d"].map((name) => ({ name: `${name}:0`, shape: [1, 4], size_bytes: 16 })),
  inputs: [{ name: "x", shape: [1, 4], size_bytes: 16 }],
  outputs: [{ name: "d:0", shape: [1, 4], size_bytes: 16 }],
};

function denseNet(blocks: number, layers: number): Edges {
  const pairs: [number, number][] = [];
  let next = 1;
  let input = 0;
  for (let block = 0; block < blocks; block += 1) {
    const outputs = [input];
    for (let i = 0; i < layers; i += 1) {
      const [concat, conv] = [next, next + 1];
      next += 2;
      for (const output of outputs) pairs.push([output, concat]);
      pairs.push([concat, conv]);
      outputs.push(conv);
    }
    for (const output of outputs) pairs.push([output, next]);
    input = next;
    next += 1;
  }
  return edges(next, pairs);
}

describe("network", () => {
  it("joins layers by tensor and ends by name", () => {
    const network = buildNetwork(residual);
    expect(network.nodes.map((node) => node.name)).toEqual(["x", "a", "b", "c", "d", "d:0"]);
    expect(network.edges.map(({ from, to }) => [from, to])).toEqual([[0, 1], [1, 2], [2, 3], [3, 4], [1, 4], [4, 5]]);
    expect(network.edges.every((edge) => edge.bytes === 16)).toBe(true);
  });

  it("makes one edge of a tensor that is taken twice", () => {
    const network = buildNetwork({ ...residual, layers: [layer("a", ["x", "x"], "Mul")], outputs: [] });
    expect(network.edges).toHaveLength(1);
  });
});

describe("reduction", () => {
  it("removes exactly the edges that a longer path implies", () => {
    expect(reduceEdges(edges(4, [[0, 1], [1, 2], [2, 3], [0, 3], [0, 2]]))).toEqual([true, true, true, false, false]);
  });

  it("keeps both branches of a diamond", () => {
    expect(reduceEdges(edges(4, [[0, 1], [0, 2], [1, 3], [2, 3]]))).toEqual([true, true, true, true]);
  });

  it("leaves a chain of a DenseNet", () => {
    const graph = denseNet(3, 12);
    expect(reduceEdges(graph).filter(Boolean)).toHaveLength(graph.count - 1);
  });
});

describe("ranks", () => {
  it("are longest paths, and a late source stands just above its consumer", () => {
    const graph = edges(5, [[0, 1], [1, 2], [2, 4], [3, 4]]);
    expect([...longestPathRanks(graph, reduceEdges(graph))]).toEqual([0, 1, 2, 2, 3]);
  });

  it("settle keeps the order and the gap and moves no more than needed", () => {
    const slots = [0, 0, 100].map((x, node): Slot => ({ node, edge: -1, rank: 0, left: 5, right: 5, x, upper: [], lower: [] }));
    settle(slots, 2, (slot) => slot.x);
    expect(slots.map((slot) => slot.x)).toEqual([-6, 6, 100]);
  });
});

describe("columns", () => {
  const strip = (crossings: Int32Array) => ({ heights: crossings.map(() => 1), crossings, gap: 0 });
  it("cover all ranks once", () => {
    const columns = breakColumns(strip(new Int32Array(57).fill(1)), 10);
    expect(columns.flatMap(({ start, stop }) => Array.from({ length: stop - start }, (_, i) => start + i))).toEqual(Array.from({ length: 57 }, (_, i) => i));
    expect(columns.every(({ start, stop }) => stop - start <= 10)).toBe(true);
  });

  it("break where few edges cross", () => {
    const crossings = new Int32Array(20).fill(4);
    crossings[9] = 1;
    expect(breakColumns(strip(crossings), 10)[0]).toEqual({ start: 0, stop: 9 });
  });

  it("are as even as they come", () => {
    const columns = breakEvenly(strip(new Int32Array(22).fill(1)), 10);
    expect(columns.map(({ start, stop }) => stop - start)).toEqual([8, 8, 6]);
  });

  it("give a rank that is higher than the window a column of its own", () => {
    expect(breakColumns({ heights: [1, 30, 1], crossings: [0, 1, 1], gap: 0 }, 10)).toEqual([{ start: 0, stop: 1 }, { start: 1, stop: 2 }, { start: 2, stop: 3 }]);
  });
});

describe("layout", () => {
  const graphs: [string, Edges][] = [
    ["a residual net", edges(6, [[0, 1], [1, 2], [2, 3], [3, 4], [1, 4], [4, 5]])],
    ["a DenseNet", denseNet(4, 20)],
    ["wide branches", edges(7, [[0, 1], [0, 2], [0, 3], [0, 4], [1, 5], [2, 5], [3, 6], [4, 6], [5, 6]])],
  ];
  it.each(graphs)("puts no card of %s onto another, and routes every edge", (_, graph) => {
    const layout = layoutGraph({ ...graph, window: { width: 900, height: 600 } });
    layout.items.forEach(({ x, y }, item) => {
      const rect = { x: x + 1, y: y + 1, width: CARD_WIDTH - 2, height: CARD_HEIGHT - 2 };
      expect(itemsInRect(layout.items, rect)).toEqual([item]);
      expect(itemAt(layout.items, { x: x + 5, y: y + 5 })).toBe(item);
    });
    expect(layout.edges).toHaveLength(graph.from.length);
    expect(layout.edges.every((edge) => edge.path.startsWith("M") && !edge.path.includes("NaN"))).toBe(true);
  });

  it("is deterministic", () => {
    const input = { ...denseNet(2, 8), window: { width: 900, height: 600 } };
    expect(layoutGraph(input)).toEqual(layoutGraph(input));
  });

  it("wraps a long chain into the window's shape", () => {
    const chain = edges(1000, Array.from({ length: 999 }, (_, i) => [i, i + 1] as const));
    const layout = layoutGraph({ ...chain, window: { width: 960, height: 620 } });
    expect(layout.width / layout.height).toBeGreaterThan(0.8);
    expect(layout.width / layout.height).toBeLessThan(3);
  });

  it("leaves a short chain in one column", () => {
    expect(layoutGraph({ ...edges(3, [[0, 1], [1, 2]]), window: { width: 960, height: 620 } }).columnCount).toBe(1);
  });

  it("draws a reduced edge as a side arc", () => {
    const layout = layoutGraph({ ...at(graphs, 0)[1], window: { width: 300, height: 1200 } });
    expect(layout.edges.map((edge) => edge.kind)).toEqual(["flow", "flow", "flow", "flow", "skip", "flow"]);
  });
});

describe("paths", () => {
  it("drop points in the middle of a line", () => {
    expect(simplify([[0, 0], [0, 5], [0, 10], [4, 10]])).toEqual([[0, 0], [0, 10], [4, 10]]);
  });
  it("start and end at their ends", () => {
    expect(roundedPath([[0, 0], [0, 10], [8, 10]])).toMatch(/^M0 0.*L8 10$/);
  });
});

describe("selection", () => {
  const network = buildNetwork(residual);
  it("between two layers follows all paths, ends included, in either direction", () => {
    expect(between(network, 1, 4)).toEqual([1, 2, 3, 4]);
    expect(between(network, 4, 2)).toEqual([2, 3, 4]);
  });
  it("never holds the network's ends", () => {
    expect(between(network, 0, 5)).toEqual([1, 2, 3, 4]);
  });
  it("steps along the main path, not along a skip edge", () => {
    const layout = layoutGraph({ count: 6, from: network.edges.map((e) => e.from), to: network.edges.map((e) => e.to), window: { width: 900, height: 900 } });
    expect(step(layout, 1, "down")).toBe(2);
    expect(step(layout, 4, "up")).toBe(3);
    expect(step(layout, 5, "down")).toBeNull();
  });
});

describe("fit", () => {
  it("centres the rectangle and never enlarges", () => {
    expect(fitRect({ x: 0, y: 0, width: 100, height: 100 }, { width: 400, height: 200 }, 0)).toEqual({ x: 150, y: 50, zoom: 1 });
  });
});
