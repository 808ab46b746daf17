import { describe, expect, it } from "vitest";
import type { Run } from "@/api/types";
import { liveSample } from "./samples";
import type { PipelineNow } from "./pipeline";
import type { Prediction } from "@/planner/types";
import { compareRun, differenceOf } from "./comparison";

const deployment = { stages: [{ name: "a-0", device: "a", devices: ["a"], layers: [], provider: "", batch: 1 }] };
const prediction = {
  throughput_per_s: 100, latency_s: 0.02, stages: [],
  devices: [{ device: "a", utilisation: 0.5, memory_bytes: 1000, energy_j: 0.2 }],
  links: [{ source: "a", target: "b", wire_bytes: 50 }],
} as unknown as Prediction;
const now: PipelineNow = {
  deployment: "d", framesPerS: 80,
  pairs: new Map([["a>b", { source: "a", target: "b", framesPerS: 80, wireBytesPerS: 4000, inFlight: 0, stalledS: 0, connected: true }]]),
  stages: [{ stage: "a-0", device: "a", framesPerS: 80, computeS: 0.01, waitS: 0, queued: 0, lost: 0, predictedS: 0.008 }],
  loads: [{ kind: "device", name: "a", share: 0.8 }],
};
const run = { frames_per_s: 80, latency_p50_s: 0.05, energy: {} } as unknown as Run;
const rowsOf = (...given: Parameters<typeof compareRun>) => new Map(compareRun(...given).flatMap(({ rows }) => rows.map((row) => [row.what, row])));

describe("predicted beside measured", () => {
  it("tells the whole, stages, devices and cuts", () => {
    const rows = rowsOf(deployment, run, now, new Map([["a", { ...liveSample, memory_bytes: 1200 }]]), prediction);
    expect([...rows].map(([what, { predicted, measured }]) => [what, predicted, measured])).toEqual([
      ["Frames a second", 100, 80],
      ["Time of one frame", 0.02, 0.05],
      ["a-0", 0.008, 0.01],
      ["a: busy", 0.5, 0.8],
      ["a: memory", 1000, 1200],
      ["a: energy of a frame", 0.2, 0.25],
      ["a → b", 5000, 4000],
    ]);
    const cut = rows.get("a → b");
    expect(cut && differenceOf(cut)).toBe("−20\u202f%");
  });
  it("leaves what is not known empty, never 0", () => {
    const rows = rowsOf(deployment, null, null, new Map(), null);
    expect([...rows.values()].every(({ predicted, measured }) => predicted === null && measured === null)).toBe(true);
    expect(differenceOf({ predicted: 1, measured: null })).toBeNull();
  });
});
