import { describe, expect, it } from "vitest";
import { buildNetwork } from "@/graph/network";
import type { Prediction } from "@/planner/types";
import { figureRows, passingChanges, spokenChanges, withoutUnit } from "./changes";
import { countedFigures, exactFigures, quickFigures, type Basis, type Figures } from "./figures";
import { estimate } from "./estimate";
import { content } from "./samples";

const layer = (name: string, input: string, macs: number) => ({
  name, op_type: "Conv", inputs: [input], outputs: [`${name}:0`], output_shape: [1], macs, parameters: 10, weight_bytes: 1e6, activation_bytes: 4,
});
const network = buildNetwork({
  layers: [layer("a", "x", 100), layer("b", "a:0", 100), layer("c", "b:0", 300)],
  tensors: ["a", "b", "c"].map((name, i) => ({ name: `${name}:0`, shape: [1], size_bytes: 1000 * (i + 1) })),
  inputs: [{ name: "x", shape: [1], size_bytes: 4 }],
  outputs: [{ name: "c:0", shape: [1], size_bytes: 3000 }],
});
const device = (name: string, compute: number, carry: number, bytes: number) => ({
  device: name, compute_s: compute, carry_s: carry, coding_s: 0, busy_s: compute + carry, received_bytes: bytes, sent_bytes: bytes, energy_j: 2, active_j: 1, memory_bytes: 9e7, memory_limit_bytes: null, estimated: [], utilisation: 1,
});
const prediction = {
  throughput_per_s: 10, latency_s: 0.2, period_s: 0.1, total_energy_j: 4, max_energy_j: 2, max_memory_bytes: 9e7, estimated: false, warnings: [], resources: [], stages: [],
  bottleneck: { kind: "cores", name: "pi-2", busy_s: 0.1, utilisation: 1 },
  devices: [device("pi-1", 0.05, 0.001, 1000), device("pi-2", 0.1, 0.001, 1000)],
  links: [{ source: "pi-1", target: "pi-2", busy_s: 0.002, wire_bytes: 2000, estimated: false, utilisation: 0.02 }],
} satisfies Prediction;
const plan = content({ a: "pi-1", b: "pi-1", c: "pi-2" });
const basis: Basis = { content: plan, prediction };
const quick = (placement: Record<string, string>, costs = new Map()): Figures => {
  const figures = quickFigures(network, content(placement), basis, costs);
  if (!figures) throw new Error("unknown");
  return figures;
};

describe("figures before the studio has answered", () => {
  it("of the predicted plan are the studio's own", () => {
    const same = quick({ a: "pi-1", b: "pi-1", c: "pi-2" });
    expect([same.throughput, same.latency, same.energyJ, same.memoryBytes]).toEqual([10, 0.2, 4, 9e7]);
    expect(same.bottleneck).toMatchObject({ kind: "cores", name: "pi-2" });
  });

  it("get worse as the busiest device gets more, and name it", () => {
    const more = quick({ a: "pi-1", b: "pi-2", c: "pi-2" });
    expect(more.throughput).toBeLessThan(10);
    expect(more.cutBytes).toBe(1000);
    expect(more.bottleneck).toMatchObject({ kind: "cores", name: "pi-2" });
    const less = quick({ a: "pi-1", b: "pi-1", c: "pi-1" });
    expect(less.bottleneck).toMatchObject({ name: "pi-1" });
  });

  it("follow the profile where there is one", () => {
    const costs = new Map([["pi-2", new Map([["a", { seconds: 0.001 }], ["b", { seconds: 5 }], ["c", { seconds: 0.1 }]])]]);
    expect(quick({ a: "pi-1", b: "pi-2", c: "pi-2" }, costs).throughput).toBeLessThan(quick({ a: "pi-1", b: "pi-2", c: "pi-2" }).throughput ?? 0);
  });

  it("of a device of which nothing is known are not made up", () => {
    expect(quickFigures(network, content({ a: "new", b: "pi-1", c: "pi-2" }), basis, new Map())).toBeNull();
  });

  it("of a plan that is not placed are what can be counted", () => {
    const part = quick({ a: "pi-1" });
    expect([part.throughput, part.latency, part.energyJ, part.bottleneck]).toEqual([null, null, null, null]);
    expect(part.memoryBytes).toBeGreaterThan(0);
    expect(countedFigures(estimate(network, content({}))).memoryBytes).toBeNull();
  });
});

describe("old beside new", () => {
  const was = exactFigures(basis, network);
  const is: Figures = { ...was, throughput: 12, latency: 0.25, passing: new Map([["pi-1\npi-2", 1000]]), cutBytes: 1000 };

  it("says what changed, by how much, and whether that is better", () => {
    const rows = Object.fromEntries(figureRows(was, is).map((row) => [row.name, row]));
    expect(rows["throughput"]).toMatchObject({ old: "10.0 frames/s", now: "12.0 frames/s", isBetter: true });
    expect(rows["latency"]).toMatchObject({ isBetter: false });
    expect(rows["cut"]).toMatchObject({ isBetter: true });
    expect(rows["energy"]).toMatchObject({ old: null, change: null, isBetter: null });
  });

  it("calls a plan that lacks layers no better for its fewer bytes", () => {
    const rows = Object.fromEntries(figureRows(was, { ...is, throughput: null, latency: null, energyJ: null }).map((row) => [row.name, row]));
    expect(rows["cut"]).toMatchObject({ old: "2.00\u202fKB", now: "1.00\u202fKB", change: null, isBetter: null });
  });

  it("says nothing of what was, where nothing is known of it", () => {
    expect(figureRows(null, is).every(({ old, change }) => old === null && change === null)).toBe(true);
    expect(spokenChanges(null, is)).toBeNull();
  });

  it("writes a unit that both have once", () => {
    expect([withoutUnit("1241 frames/s", "697 frames/s"), withoutUnit("3.11\u202fms", "3.93\u202fms"), withoutUnit("980\u202fKB", "1.20\u202fMB")]).toEqual(["1241", "3.11", "980\u202fKB"]);
  });

  it("is said in a sentence, the cuts one by one", () => {
    expect(spokenChanges(was, is)).toMatch(/^latency .* to .*, throughput .* to .*, cuts .* to .*$/);
    expect(spokenChanges(was, was)).toBeNull();
    expect(passingChanges(was, is)).toEqual([{ from: "pi-1", to: "pi-2", old: 2000, now: 1000 }]);
  });
});
