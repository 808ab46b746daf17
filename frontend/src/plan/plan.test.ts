import { beforeEach, describe, expect, it } from "vitest";
import { buildNetwork } from "@/graph/network";
import { sameContent } from "./content";
import { apply, assign, divide, invert, replaceBy, undivide, type PlanDelta } from "./delta";
import { estimate } from "./estimate";
import { byFilters, byRows, content } from "./samples";
import { assignLayers, openPlan, planDivision, edit, planStore, redo, removeSharding, replacePlan, undo } from "./store";

const must = (delta: PlanDelta | null): PlanDelta => {
  if (!delta) throw new Error("nothing to do");
  return delta;
};

describe("deltas", () => {
  const whole = content({ a: "pi1", b: "pi1", c: "pi2" });
  const halves = byRows(["a", "b"], ["pi1", "pi2"]);
  const divided = content({ c: "pi2" }, [halves], "kept");

  it("undo after do is where it began", () => {
    const edits = [
      [whole, assign(whole, ["a", "c", "d"], "pi3", "")],
      [whole, assign(whole, ["a"], null, "")],
      [whole, replaceBy(whole, content({ a: "x", d: "y" }, [halves], "other"), "")],
      [whole, divide(whole, halves, "")],
      [divided, assign(divided, ["a"], "pi3", "")],
      [divided, undivide(divided, 0, "")],
    ] as const;
    for (const [before, delta] of edits) expect(sameContent(apply(apply(before, must(delta)), invert(must(delta))), before)).toBe(true);
  });

  it("leave out what is there already", () => {
    expect(assign(whole, ["a", "b", "c"], "pi1", "")?.changes).toEqual([{ layer: "c", from: "pi2", to: "pi1" }]);
    expect(assign(whole, ["a"], "pi1", "")).toBeNull();
    expect(replaceBy(divided, content({ c: "pi2" }, [byRows(["a", "b"], ["pi1", "pi2"])], "kept"), "")).toBeNull();
  });

  it("a divided layer has no device of its own", () => {
    expect(apply(whole, must(divide(whole, halves, "")))).toMatchObject({ placement: { c: "pi2" }, shards: [halves] });
  });

  it("sending one divided layer to a device takes its division away, and those divided with it follow", () => {
    const after = apply(divided, must(assign(divided, ["a"], "pi3", "")));
    expect(after).toMatchObject({ placement: { a: "pi3", b: "pi3", c: "pi2" }, shards: [], rest: { name: "kept" } });
  });

  it("a division made whole again leaves each layer with the device that held most of it", () => {
    const uneven = content({}, [byRows(["a"], ["pi1", "pi2", "pi3", "pi2"], [3, 2, 1, 2])]);
    expect(apply(uneven, must(undivide(uneven, 0, ""))).placement).toEqual({ a: "pi2" });
  });

  it("a division goes with those that divide its parts, and they alone leave the layer divided", () => {
    const nested = content({}, [byRows(["a"], ["pi1", "pi2"]), byFilters(["a#0"], ["pi3", "pi4"]), byRows(["z"], ["pi1", "pi2"])]);
    expect(apply(nested, must(undivide(nested, 0, "")))).toMatchObject({ placement: { a: "pi1" }, shards: [{ layers: ["z"] }] });
    expect(apply(nested, must(undivide(nested, 1, "")))).toMatchObject({ placement: {}, shards: [{ layers: ["a"] }, { layers: ["z"] }] });
  });

  it("dividing anew takes the place of the old division, and what it no longer holds becomes whole", () => {
    const two = content({}, [halves, byRows(["c"], ["pi1", "pi2"])]);
    const again = byFilters(["b"], ["pi2", "pi3"]);
    expect(apply(two, must(divide(two, again, "")))).toMatchObject({ placement: { a: "pi1" }, shards: [again, { layers: ["c"] }] });
  });
});

describe("history", () => {
  beforeEach(() => openPlan(content({ a: "pi1" }, [], "mine")));
  const now = () => planStore.getState().content;

  it("takes one drag of many layers as one step", () => {
    expect(assignLayers(["a", "b", "c"], "pi2").layers).toBe(3);
    expect(planStore.getState().history.past).toHaveLength(1);
    undo();
    expect(now().placement).toEqual({ a: "pi1" });
    redo();
    expect(now().placement).toEqual({ a: "pi2", b: "pi2", c: "pi2" });
  });

  it("does not remember a drop that changes nothing", () => {
    expect(assignLayers(["a"], "pi1").layers).toBe(0);
    expect(planStore.getState().history.past).toHaveLength(0);
  });

  it("takes a division as one step, and so the drop that ends it", () => {
    const halves = byRows(["a", "b"], ["pi1", "pi2"]);
    expect(edit(planDivision(halves)).layers).toBe(2);
    expect(assignLayers(["b"], "pi3")).toEqual({ layers: 2, takenAway: [halves] });
    expect(now()).toEqual(content({ b: "pi3", a: "pi3" }, [], "mine"));
    undo();
    expect(now().shards).toEqual([halves]);
    removeSharding(0);
    expect(now().placement).toEqual({ a: "pi1", b: "pi1" });
    undo();
    undo();
    expect(now()).toEqual(content({ a: "pi1" }, [], "mine"));
  });

  it("names the step that would be undone", () => {
    replacePlan(content({ a: "pi2" }), "Spread evenly");
    expect(planStore.getState().history.past.at(-1)?.delta.label).toBe("Spread evenly");
    undo();
    expect(planStore.getState().history.future.at(-1)?.delta.label).toBe("Spread evenly");
  });

  it("begins anew with another plan", () => {
    assignLayers(["a"], "pi2");
    openPlan(content({}));
    undo();
    expect(now().placement).toEqual({});
  });
});

describe("estimate", () => {
  const layer = (name: string, inputs: string[]) => ({
    name, op_type: "Conv", inputs, outputs: [`${name}:0`], output_shape: [1], macs: 10, parameters: 2, weight_bytes: 8, activation_bytes: 16,
  });
  const network = buildNetwork({
    layers: [layer("a", ["x"]), layer("b", ["a:0"]), layer("c", ["a:0"]), layer("d", ["b:0", "c:0"])],
    tensors: ["a", "b", "c", "d"].map((name) => ({ name: `${name}:0`, shape: [1], size_bytes: 100 })),
    inputs: [{ name: "x", shape: [1], size_bytes: 7 }],
    outputs: [{ name: "d:0", shape: [1], size_bytes: 100 }],
  });

  it("sums per device, and a tensor crosses to a device once however many layers take it", () => {
    const { devices, cutBytes, cuts, unplaced } = estimate(network, content({ a: "pi1", b: "pi2", c: "pi2", d: "pi2" }));
    expect(devices.get("pi1")).toEqual({ layers: 1, macs: 10, parameters: 2, weightBytes: 8, activationBytes: 16, memoryBytes: 64 * 2 ** 20 + 20 + 16, receivedBytes: 7, sentBytes: 100 });
    expect(devices.get("pi2")).toMatchObject({ layers: 3, receivedBytes: 100, sentBytes: 100 });
    expect([cutBytes, cuts, unplaced]).toEqual([100, 1, 0]);
  });

  it("leaves unplaced layers out of every device", () => {
    const { devices, unplaced, total } = estimate(network, content({ a: "pi1" }));
    expect([devices.size, unplaced, total.layers]).toEqual([1, 3, 4]);
  });

  it("counts a divided layer for each of its devices: work by share, weights whole for tiles and by share for filters", () => {
    const rows = estimate(network, content({ b: "pi1", c: "pi1", d: "pi1" }, [byRows(["a"], ["pi1", "pi2"], [3, 1])]));
    expect(rows.devices.get("pi2")).toMatchObject({ layers: 1, macs: 2.5, weightBytes: 8, receivedBytes: 7, sentBytes: 25 });
    expect([rows.unplaced, rows.devices.get("pi1")?.layers, rows.cutBytes]).toEqual([0, 4, 25]);
    const filters = estimate(network, content({ b: "pi1", c: "pi1", d: "pi1" }, [byFilters(["a"], ["pi1", "pi2"], [3, 1])]));
    expect(filters.devices.get("pi2")).toMatchObject({ macs: 2.5, parameters: 0.5, weightBytes: 2 });
  });

  it("layers divided together hand over in place", () => {
    expect(estimate(network, content({}, [byRows(["a", "b", "c", "d"], ["pi1", "pi2"])])).cutBytes).toBe(0);
  });
});
