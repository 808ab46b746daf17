import { beforeEach, describe, expect, it } from "vitest";
import { buildNetwork } from "@/graph/network";
import { apply, assign, invert, replaceBy } from "./delta";
import { estimate } from "./estimate";
import { countDifferences, samePlacement } from "./placement";
import { assignLayers, openPlacement, planStore, redo, replacePlacement, undo } from "./store";

describe("deltas", () => {
  const before = { a: "pi1", b: "pi1", c: "pi2" };

  it("undo after do is where it began", () => {
    for (const delta of [assign(before, ["a", "c", "d"], "pi3", ""), assign(before, ["a"], null, ""), replaceBy(before, { a: "x", d: "y" }, "")]) {
      expect(delta).not.toBeNull();
      if (delta) expect(samePlacement(apply(apply(before, delta), invert(delta)), before)).toBe(true);
    }
  });

  it("leave out what is there already", () => {
    expect(assign(before, ["a", "b", "c"], "pi1", "")?.changes).toEqual([{ layer: "c", from: "pi2", to: "pi1" }]);
    expect(assign(before, ["a"], "pi1", "")).toBeNull();
  });

  it("count what differs, not the order", () => {
    expect(samePlacement({ a: "1", b: "2" }, { b: "2", a: "1" })).toBe(true);
    expect(countDifferences(before, { a: "pi1", b: "pi2" })).toBe(2);
  });
});

describe("history", () => {
  beforeEach(() => openPlacement({ a: "pi1" }));

  it("takes one drag of many layers as one step", () => {
    expect(assignLayers(["a", "b", "c"], "pi2")).toBe(3);
    expect(planStore.temporal.getState().pastStates).toHaveLength(1);
    undo();
    expect(planStore.getState().placement).toEqual({ a: "pi1" });
    redo();
    expect(planStore.getState().placement).toEqual({ a: "pi2", b: "pi2", c: "pi2" });
  });

  it("does not remember a drop that changes nothing", () => {
    expect(assignLayers(["a"], "pi1")).toBe(0);
    expect(planStore.temporal.getState().pastStates).toHaveLength(0);
  });

  it("names the step that would be undone", () => {
    replacePlacement({ a: "pi2" }, "Spread evenly");
    expect(planStore.getState().label).toBe("Spread evenly");
    undo();
    expect(planStore.temporal.getState().futureStates.at(-1)?.label).toBe("Spread evenly");
  });

  it("begins anew with another plan", () => {
    assignLayers(["a"], "pi2");
    openPlacement({});
    undo();
    expect(planStore.getState().placement).toEqual({});
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
    const { devices, cutBytes, cuts, unplaced } = estimate(network, { a: "pi1", b: "pi2", c: "pi2", d: "pi2" });
    expect(devices.get("pi1")).toEqual({ layers: 1, macs: 10, parameters: 2, weightBytes: 8, activationBytes: 16, memoryBytes: 64 * 2 ** 20 + 20 + 16, receivedBytes: 7, sentBytes: 100 });
    expect(devices.get("pi2")).toMatchObject({ layers: 3, receivedBytes: 100, sentBytes: 100 });
    expect([cutBytes, cuts, unplaced]).toEqual([100, 1, 0]);
  });

  it("leaves unplaced layers out of every device", () => {
    const { devices, unplaced, total } = estimate(network, { a: "pi1" });
    expect([devices.size, unplaced, total.layers]).toEqual([1, 3, 4]);
  });
});
