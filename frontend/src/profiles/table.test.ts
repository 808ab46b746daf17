import { describe, expect, it } from "vitest";
import type { Profile } from "@/api/types";
import { describeConditions, describeError, layerRows, sorted, withSpread } from "./table";

const plain = (text: string | null) => text?.replaceAll("\u202f", " ");
const layer = (name: string, median_s: number, energy_j: number | null = null): Profile["layers"][number] => ({
  layer: name, median_s, spread_s: 0.0001, runs: 9, weight_bytes: name.length, output_bytes: 8, energy_j,
});
const layers = [layer("conv", 0.002), layer("relu", 0.001), layer("fc", 0.005, 0.1)];
const kernels = [{ layers: ["conv", "relu"], median_s: 0.0022, spread_s: 0, runs: 9, energy_j: null }];

describe("the table of a profile", () => {
  it("is sorted by time first, and by whatever else", () => {
    const rows = layerRows({ layers, kernels });
    expect(sorted(rows, "time").map((row) => row.layer)).toEqual(["fc", "conv", "relu"]);
    expect(sorted(rows, "place").map((row) => row.layer)).toEqual(["conv", "relu", "fc"]);
    expect(sorted(rows, "energy").map((row) => row.layer)[0]).toBe("fc");
  });
  it("puts the fused kernel beside its layers, and nothing beside one that has none", () => {
    const rows = layerRows({ layers, kernels });
    expect(rows.map(({ fused }) => fused?.seconds ?? null)).toEqual([0.0022, 0.0022, null]);
  });
  it("tells the conditions and the spread", () => {
    expect(describeConditions({ onnxruntime: "1.31", threads: 1, provider: "CPUExecutionProvider" })).toBe("onnxruntime 1.31 · CPU · 1 thread");
    expect(plain(withSpread(0.02, 0.002))).toBe("20.0 ms ± 1.00 ms");
  });
  it("tells how far a prediction was off, only where there are both", () => {
    expect(plain(describeError(0.01, 0.0109))).toBe("+9 %");
    expect(plain(describeError(0.01, 0.009))).toBe("−10 %");
    expect(describeError(null, 0.01)).toBeNull();
    expect(describeError(0.01, null)).toBeNull();
  });
});
