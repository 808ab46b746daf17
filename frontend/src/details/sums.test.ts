import { describe, expect, it } from "vitest";
import { plainNet } from "@/graph/samples";
import { content } from "@/plan/samples";
import { borderOf, costsOn, devicesOf, insideOf, sumsOf, tellCount, tellKinds } from "./sums";

describe("Several layers together", () => {
  it("are summed", () => {
    const node = { index: 0, kind: "layer" as const, name: "a", op: "Conv", shape: [], macs: 2, parameters: 3, weightBytes: 5, activationBytes: 7 };
    expect(sumsOf([node, node])).toEqual({ macs: 4, parameters: 6, weightBytes: 10, activationBytes: 14 });
    expect(sumsOf([])).toEqual({ macs: 0, parameters: 0, weightBytes: 0, activationBytes: 0 });
  });

  it("are told by their kinds, or by the one that they share", () => {
    const ops = (...names: string[]) => names.map((op) => ({ op }));
    expect(tellKinds(ops("Relu", "Conv", "Conv"))).toBe("2\u00a0Conv, 1\u00a0Relu");
    expect(tellCount(ops("Conv", "Conv"))).toBe("2 Conv layers");
    expect(tellCount(ops("Conv", "Relu"))).toBe("2 layers");
    expect(tellCount(ops("Conv"))).toBe("1 layer");
  });

  it("cost what is known of them on a device; energy only where all of it is known", () => {
    const costs = new Map([
      ["a", { seconds: 1, joules: 2 }],
      ["b", { seconds: 3, joules: null }],
    ]);
    expect(costsOn(costs, ["a", "a", "x"])).toEqual({ seconds: 2, joules: 4 });
    expect(costsOn(costs, ["a", "b"])).toEqual({ seconds: 4, joules: null });
    expect(costsOn(costs, ["x"])).toBeNull();
    expect(costsOn(undefined, ["a"])).toBeNull();
  });

  it("are on devices, or some of them on none", () => {
    expect(devicesOf(content({ a: "pi-1", b: "pi-1" }), ["a", "b"])).toEqual(["pi-1"]);
    expect(devicesOf(content({ a: "pi-1" }), ["a", "b"])).toEqual(["pi-1", ""]);
  });

  it("have borders: the edges that come in, and those that go out", () => {
    const { network } = plainNet([4]);
    const inner = new Set([2, 3]);
    expect(borderOf(network, inner, true).map((edge) => network.edges[edge]?.to)).toEqual([2]);
    expect(insideOf(network, inner).map((edge) => network.edges[edge]?.to)).toEqual([3]);
    expect(borderOf(network, inner, false).map((edge) => network.edges[edge]?.from)).toEqual([3]);
  });
});
