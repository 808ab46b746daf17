import { describe, expect, it } from "vitest";
import type { Deployment, DeviceLive } from "@/api/types";
import type { Prediction } from "@/planner/types";
import { bottleneckOf, deviceOfInstance, dotsAt, dotsPerS, pairKey, pipelineNow, wayOf, type StageNow } from "./pipeline";
import { liveSample, stageSample } from "./samples";

type Told = Pick<Deployment, "id" | "epoch" | "stages" | "plan">;
const stage = (name: string, device: string, devices = [device]) => ({ name, device, devices, layers: [], provider: "", batch: 1 });
const told = {
  id: "d", epoch: 1, stages: [stage("a-0", "a"), stage("g-0", "g", ["b", "c"])],
  plan: { resources: { big: { device: "c" } } },
} as unknown as Told;
const link = (name: string, frames_per_s: number, wire: number): DeviceLive["links"][number] => ({
  deployment: "d", link: name, sends: true, frames_per_s, bytes_per_s: wire, wire_bytes_per_s: wire, coding_s: null, connected: true, reconnects: 0, in_flight: 1, stalled_s: 0,
});
const live = (device: string, links: DeviceLive["links"], stages = [stageSample]): DeviceLive => ({ ...liveSample, agent_cores: 0, device, links, stages });
const heard = (...lives: DeviceLive[]) => Object.fromEntries(lives.map((one) => [one.device, { live: one, receivedAt: 1000 }]));
const running = { state: "running", frames_per_s: 10 } as const;

describe("what passes between devices", () => {
  it("is told by who sends it, once, and added up between the same two", () => {
    const now = pipelineNow(told, heard(live("a", [link("a-0->g-0@b", 10, 100), link("a-0->g-0@c", 5, 50)]), live("b", [link("a-0->g-0@b", 9, 90)])), running, null, 1500);
    expect(now.pairs.get(pairKey("a", "b"))).toMatchObject({ framesPerS: 10, wireBytesPerS: 100, inFlight: 1 });
    expect(now.pairs.get(pairKey("a", "c"))?.wireBytesPerS).toBe(50);
  });
  it("is told by the taker where the studio sends", () => {
    const now = pipelineNow(told, heard(live("a", [link("source->a-0", 7, 70)])), running, null, 1500);
    expect(now.pairs.get(pairKey("studio", "a"))?.framesPerS).toBe(7);
  });
  it("leaves out what stays on a device, and devices that are silent", () => {
    expect(pipelineNow(told, heard(live("a", [link("a-0->a-0", 1, 1)])), running, null, 1500).pairs.size).toBe(0);
    expect(pipelineNow(told, heard(live("a", [link("a-0->g-0@b", 1, 1)])), running, null, 9000).pairs.size).toBe(0);
  });
  it("knows instances of replicas, resources and the ends", () => {
    expect(["a-0", "g-0@b", "g-0@big", "source"].map((name) => deviceOfInstance(told, name))).toEqual(["a", "b", "c", "studio"]);
  });
});

describe("the bottleneck", () => {
  const busy = (compute_s: number, frames_per_s: number, name = "a-0") => ({ ...stageSample, stage: name, compute_s, frames_per_s });
  it("is the device whose stages work most of the time", () => {
    const now = pipelineNow(told, heard(live("a", [], [busy(0.05, 10)]), live("b", [], [busy(0.09, 10, "g-0@b")])), running, null, 1500);
    expect(bottleneckOf(now, true)).toEqual({ kind: "device", name: "b", share: expect.closeTo(0.9) as number });
  });
  it("is a link where that is fuller, by the bytes that were measured", () => {
    const prediction = { stages: [], links: [{ source: "a", target: "b", wire_bytes: 100, busy_s: 0.05, utilisation: 0.5, estimated: false }] } as unknown as Prediction;
    const now = pipelineNow(told, heard(live("a", [link("a-0->g-0@b", 10, 1900)], [busy(0.05, 10)])), running, prediction, 1500);
    expect(bottleneckOf(now, true)).toEqual({ kind: "link", name: "a->b", share: expect.closeTo(0.95) as number });
  });
  it("is the busiest even where that is little, with its share", () => {
    const now = pipelineNow(told, heard(live("a", [], [busy(0.0005, 10)])), running, null, 1500);
    expect(bottleneckOf(now, true)).toEqual({ kind: "device", name: "a", share: expect.closeTo(0.005) as number });
  });
  it("is nobody while no frames flow, or where links are not predicted and no device is busy", () => {
    expect(bottleneckOf(pipelineNow(told, heard(live("a", [], [busy(0.0005, 10)])), running, null, 1500), false)).toBeNull();
    expect(bottleneckOf(pipelineNow(told, heard(live("a", [], [busy(0.09, 10)])), null, null, 1500), true)).toBeNull();
  });
  it("counts what an agent does beside computing", () => {
    const now = pipelineNow(told, heard({ ...live("a", [], [busy(0.01, 10)]), agent_cores: 1.4, usable_cores: 2 }), running, null, 1500);
    expect(bottleneckOf(now, true)?.share).toBeCloseTo(0.7);
  });
  it("does not add stages up that compute on cores of their own", () => {
    const now = pipelineNow(told, heard(live("a", [], [busy(0.05, 10), busy(0.05, 10, "big-0")])), running, null, 1500);
    expect(now.loads[0]?.share).toBeCloseTo(0.5);
  });
});

describe("dots", () => {
  it("follow the frames, one for one while few and never many", () => {
    expect([0, 1, 3].map(dotsPerS)).toEqual([0, 1, 3]);
    expect(dotsPerS(30)).toBeGreaterThan(dotsPerS(10));
    expect(dotsPerS(1e9)).toBeLessThanOrEqual(6);
  });
  it("are spread evenly and move on with the phase", () => {
    expect(dotsAt(0.5, 2)).toEqual([0.25, 0.75]);
    expect(dotsAt(7.5, 2)).toEqual([0.25, 0.75]);
    expect(dotsAt(3, 0)).toEqual([]);
  });
});

describe("a frame's way", () => {
  const at = (name: string, device: string, computeS: number | null, waitS: number): StageNow => ({ stage: name, device, framesPerS: 1, computeS, waitS, queued: 0, lost: 0, predictedS: null });
  it("is its stages, and what is left of its time it travels", () => {
    const way = wayOf([at("a-0", "a", 0.01, 0), at("g-0@b", "b", 0.02, 0.01), at("g-0@c", "c", 0.04, 0.01)], 0.1);
    expect(way?.map(({ kind, label }) => `${kind} ${label}`)).toEqual(["compute a-0", "wait waits for g-0", "compute g-0", "travel on links and in the studio"]);
    expect(way?.[2]?.seconds).toBeCloseTo(0.03);
    expect(way?.[3]?.seconds).toBeCloseTo(0.05);
  });
  it("is not told where a stage is silent", () => {
    expect(wayOf([at("a-0", "a", null, 0)], 0.1)).toBeNull();
    expect(wayOf([], 0.1)).toBeNull();
  });
});
