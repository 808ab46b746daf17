import { describe, expect, it } from "vitest";
import { costsOfProfile, newestOf } from "./costs";

const layer = (name: string, seconds: number, joules: number | null = null) => ({ layer: name, median_s: seconds, spread_s: 0, runs: 1, weight_bytes: 0, output_bytes: 0, energy_j: joules });
const kernel = (layers: string[], seconds: number) => ({ layers, median_s: seconds }) as Parameters<typeof costsOfProfile>[0]["kernels"][number];

describe("costs of layers", () => {
  it("share a kernel's time by what its layers take alone, and sum to it", () => {
    const costs = costsOfProfile({ layers: [layer("conv", 3), layer("relu", 1), layer("gone", 2)], kernels: [kernel(["conv", "relu"], 2)] });
    expect([...costs.values()].map(({ seconds }) => seconds)).toEqual([1.5, 0.5, 0]);
  });
  it("have no energy where none was measured, which is not zero", () => {
    const costs = costsOfProfile({ layers: [layer("a", 1, 0.5), layer("b", 1)], kernels: [] });
    expect([...costs.values()].map(({ joules }) => joules)).toEqual([0.5, null]);
  });
  it("come from the newest profile of each device", () => {
    const profile = (device: string, at: string, model = "m") => ({ device, model_id: model, measured_at: at });
    const kept = newestOf([profile("a", "2026-01-01"), profile("a", "2026-02-01"), profile("b", "2026-01-01"), profile("c", "2026-01-01", "other")], "m");
    expect(kept.map(({ device, measured_at }) => [device, measured_at])).toEqual([["a", "2026-02-01"], ["b", "2026-01-01"]]);
  });
});
