import { describe, expect, it } from "vitest";
import type { PlanProblem } from "@/api/types";
import { buildNetwork } from "@/graph/network";
import { choiceFrom, exchangePoints, gridShapes, incomplete, newErrors, percents, relinked, resized, shardingFrom, sharesBySpeed, type SplitChoice } from "./split";

const choice = (change: Partial<SplitChoice>): SplitChoice => ({
  kind: "rows", parts: [{ place: "pi1", weight: 1 }, { place: "pi2", weight: 3 }], heights: [1], widths: [1], exchange: false, ...change,
});
const four = ["a", "b", "c", "d"].map((place) => ({ place, weight: 1 }));

describe("a choice of how to split", () => {
  it.each([
    [choice({}), { strategy: "spatial", rows: [1, 3], columns: [1], exchange_before: [] }],
    [choice({ kind: "columns", exchange: true }), { strategy: "spatial", rows: [1], columns: [1, 3], exchange_before: ["conv2"] }],
    [choice({ kind: "grid", parts: four, heights: [1, 2], widths: [1, 1] }), { strategy: "spatial", rows: [1, 2], columns: [1, 1] }],
    [choice({ kind: "tiles", heights: [1, 1], widths: [1], exchange: true }), { strategy: "spatial_independent", rows: [1, 1], columns: [1] }],
    [choice({ kind: "filters" }), { strategy: "output_channels", shares: [1, 3] }],
    [choice({ kind: "inputs" }), { strategy: "input_channels", shares: [1, 3] }],
  ])("becomes the plan's entry, and back", (asked, entry) => {
    const sharding = shardingFrom(asked, ["conv1", "conv2"], ["conv2"]);
    expect(sharding).toMatchObject({ ...entry, layers: ["conv1", "conv2"], devices: asked.parts.map(({ place }) => place), unit: "share" });
    expect(shardingFrom(choiceFrom(sharding), ["conv1", "conv2"], ["conv2"])).toEqual(sharding);
  });

  it("is written in the smallest whole numbers, and comes back to the middle of the sliders", () => {
    const even = shardingFrom(choice({ parts: four.map(({ place }) => ({ place, weight: 5 })) }), ["conv1"], []);
    expect(even).toMatchObject({ rows: [1, 1, 1, 1] });
    expect(choiceFrom(even).parts.map(({ weight }) => weight)).toEqual([5, 5, 5, 5]);
    expect(choiceFrom(shardingFrom(choice({ kind: "filters" }), ["conv1"], [])).parts.map(({ weight }) => weight)).toEqual([2, 6]);
    expect(shardingFrom(choice({ parts: [{ place: "p", weight: 1.5 }, { place: "q", weight: 3 }] }), ["conv1"], [])).toMatchObject({ rows: [1.5, 3] });
  });

  it.each([
    [choice({ parts: four.slice(1, 2) }), "at least two"],
    [choice({ parts: Array.from({ length: 17 }, (_, i) => ({ place: `p${i}`, weight: 1 })) }), "at most 16"],
    [choice({ kind: "grid", heights: [1, 1], widths: [1, 1] }), "2 × 2 tiles need 4"],
    [choice({ kind: "grid", heights: [1, 1], widths: [1] }), "A grid needs 4"],
  ])("that cannot be asked for says why", (asked, reason) => {
    expect(incomplete(asked)).toContain(reason);
  });

  it("can be asked for when nothing is missing", () => {
    expect([incomplete(choice({})), incomplete(choice({ kind: "grid", parts: four, heights: [1, 1], widths: [1, 1] }))]).toEqual([null, null]);
  });
});

describe("shares", () => {
  it("are whole per cent that sum to 100, each at least one", () => {
    expect([percents([1, 1, 1]), percents([1, 2]), percents([1, 1000]), percents([1, 1])]).toEqual([[34, 33, 33], [33, 67], [1, 99], [50, 50]]);
  });
  it("are linked: what one gets the others lose, in their proportion", () => {
    expect(relinked([50, 30, 20], 0, 60)).toEqual([60, 24, 16]);
    expect(relinked([50, 50], 1, 75)).toEqual([25, 75]);
    expect([relinked([50, 50], 0, 150), relinked([50, 25, 25], 0, 0)]).toEqual([[99, 1], [1, 50, 49]]);
  });
  it("by speed are as the measured seconds say, and not made up where nothing was measured", () => {
    const costs = new Map([["fast", new Map([["a", { seconds: 1 }]])], ["slow", new Map([["a", { seconds: 3 }]])]]);
    expect(sharesBySpeed(["a"], ["slow", "fast"], costs)).toEqual({ shares: [25, 75] });
    expect(sharesBySpeed(["a"], ["fast", "new"], costs)).toEqual({ unknown: ["new"] });
    expect(sharesBySpeed(["a", "b"], ["fast"], costs)).toEqual({ unknown: ["fast"] });
  });
});

describe("tiles", () => {
  it("lie in every way that uses each device once, the squarest first", () => {
    expect(gridShapes(6)).toEqual([[3, 2], [2, 3], [6, 1], [1, 6]]);
    expect(gridShapes(3)).toEqual([[3, 1], [1, 3]]);
  });
  it("keep their sizes when there are more or fewer", () => {
    expect([resized([2, 3], 3), resized([2, 3], 1)]).toEqual([[2, 3, 5], [2]]);
  });
});

describe("halos", () => {
  const layer = (name: string, op_type: string, inputs: string[]) => ({
    name, op_type, inputs, outputs: [`${name}:0`], output_shape: [1], macs: 0, parameters: 0, weight_bytes: 0, activation_bytes: 0,
  });
  const network = buildNetwork({
    layers: [layer("conv1", "Conv", ["x"]), layer("relu", "Relu", ["conv1:0"]), layer("conv2", "Conv", ["relu:0"])],
    tensors: [], outputs: [], inputs: [{ name: "x", shape: [1], size_bytes: 4 }],
  });
  it("are exchanged before convolutions inside the run; what enters the run is cut anyway", () => {
    expect(exchangePoints(network, [1, 2, 3])).toEqual(["conv2"]);
    expect(exchangePoints(network, [3])).toEqual([]);
  });
});

describe("what a split brings", () => {
  const problem = (code: string, message: string, severity: PlanProblem["severity"] = "error"): PlanProblem => ({ code, severity, message, layer: "a", device: null });
  it("is only errors that were not there before", () => {
    const [old, fresh] = [problem("unplaced_layer", "a has none"), problem("bad_shard", "too thin")];
    expect(newErrors([old], [old, fresh, problem("tight_memory", "tight", "warning")])).toEqual([fresh]);
    expect(newErrors([old, fresh], [fresh])).toEqual([]);
  });
});
