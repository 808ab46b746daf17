import { describe, expect, it } from "vitest";
import { buildFolds } from "@/graph/folds";
import { layoutGraph } from "@/graph/layout";
import { at, buildNetwork, type Network } from "@/graph/network";
import { chance, denseNet, residualNet } from "@/graph/samples";
import { estimate } from "./estimate";
import { byRows, content } from "./samples";
import { sharesOfLayers } from "./shares";
import { trafficOf } from "./traffic";

/** x -> a -> b, c; b, c -> d -> d's output. */
const network = buildNetwork({
  layers: [["a", ["x"]], ["b", ["a"]], ["c", ["a"]], ["d", ["b", "c"]]].map(([name, inputs]) => ({
    name: String(name), op_type: "Conv", inputs: inputs as string[], outputs: [String(name)], output_shape: [1, 4], macs: 1, parameters: 1, weight_bytes: 4, activation_bytes: 16,
  })),
  tensors: ["a", "b", "c", "d"].map((name) => ({ name, shape: [1, 4], size_bytes: 16 })),
  inputs: [{ name: "x", shape: [1, 4], size_bytes: 8 }],
  outputs: [{ name: "d", shape: [1, 4], size_bytes: 16 }],
});

const edge = (from: string, to: string, of: Network = network): number => of.edges.findIndex((one) => at(of.nodes, one.from).name === from && at(of.nodes, one.to).name === to);

describe("traffic between cards", () => {
  it("is nothing on one device", () => {
    expect(trafficOf(network, content({ a: "p", b: "p" }), [edge("a", "b")])).toBeNull();
  });

  it("counts a tensor that several layers of a card take once", () => {
    const plan = content({ a: "p", b: "q", c: "q", d: "q" });
    expect(trafficOf(network, plan, [edge("a", "b"), edge("a", "c")])).toMatchObject({ bytes: 16, toldBytes: 16, sources: ["p"], sinks: ["q"], tensors: ["a"] });
  });

  it("is told on the first of the edges that carry the same to the same device", () => {
    const plan = content({ a: "p", b: "q", c: "q", d: "q" });
    expect(trafficOf(network, plan, [edge("a", "b")])).toMatchObject({ bytes: 16, toldBytes: 16 });
    expect(trafficOf(network, plan, [edge("a", "c")])).toMatchObject({ bytes: 16, toldBytes: 0 });
  });

  it("with the studio is what comes in and goes out", () => {
    const into = network.edges.findIndex(({ from }) => at(network.nodes, from).kind === "input");
    expect(trafficOf(network, content({ a: "p" }), [into])).toMatchObject({ isStudio: true, bytes: 8, sources: ["studio"], sinks: ["p"] });
    expect(trafficOf(network, content({}), [into])).toBeNull();
  });

  it("of divided layers is an estimate", () => {
    const plan = content({ a: "p", c: "p", d: "p" }, [byRows(["b"], ["p", "q"])]);
    expect(trafficOf(network, plan, [edge("a", "b")])).toMatchObject({ bytes: 8, isEstimate: true });
  });

  it.each([["residual", residualNet([2, 3])], ["dense", denseNet([4, 5])]] as const)("told on all cards sums to what the plan sends, folded or not (%s)", (_, sample) => {
    const random = chance(7);
    const layers = sample.network.nodes.filter(({ kind }) => kind === "layer");
    const plan = content(Object.fromEntries(layers.map(({ name }) => [name, ["p", "q", "r"][Math.floor(random() * 3)] ?? "p"])));
    const tree = buildFolds(sample.network, sample.blocks);
    const input = { count: sample.network.nodes.length, from: sample.network.edges.map(({ from }) => from), to: sample.network.edges.map(({ to }) => to), tree, window: { width: 900, height: 600 } };
    const told = layoutGraph({ ...input, open: tree.folds.map(({ name }) => name) }).edges.reduce((sum, { edges }) => {
      const traffic = trafficOf(sample.network, plan, edges);
      return sum + (traffic && !traffic.isStudio ? traffic.toldBytes : 0);
    }, 0);
    expect(told).toBe(estimate(sample.network, plan).cutBytes);
  });
});

describe("shares of layers", () => {
  it("sum to one, the largest first, with what is on no device", () => {
    const shares = sharesOfLayers(content({ a: "p", b: "q", c: "q" }), ["a", "b", "c", "d"]);
    expect(shares).toEqual([{ device: "q", share: 0.5 }, { device: "p", share: 0.25 }, { device: "", share: 0.25 }]);
  });
  it("of a divided layer are its parts'", () => {
    expect(sharesOfLayers(content({ a: "p" }, [byRows(["b"], ["p", "q"], [3, 1])]), ["a", "b"])).toEqual([{ device: "p", share: 0.875 }, { device: "q", share: 0.125 }]);
  });
});
