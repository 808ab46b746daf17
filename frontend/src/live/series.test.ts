import { describe, expect, it } from "vitest";
import type { DeviceLive } from "@/api/types";
import { liveSample, powerSample } from "./samples";
import { Series } from "./series";

const sample = (unix_s: number, power_w: number | null = null): DeviceLive => ({
  ...liveSample, device: "pi1", unix_s, frames_per_s: unix_s, cpu_utilisation: null, power: power_w === null ? null : { ...powerSample, power_w },
});

describe("series", () => {
  it("keeps the newest and no more than it holds", () => {
    const series = new Series(3);
    for (let t = 1; t <= 5; t += 1) series.push(sample(t));
    expect(series.read("fps")).toEqual([[3, 4, 5], [3, 4, 5]]);
  });
  it("shows a silence as a gap", () => {
    const series = new Series(10);
    series.push(sample(1));
    series.push(sample(20));
    expect(series.read("fps")[1]).toEqual([1, null, 20]);
  });
  it("shows an absent sensor as absent, never as zero", () => {
    const series = new Series(10);
    series.push(sample(1));
    series.push(sample(2, 4.5));
    expect(series.read("power")[1]).toEqual([null, 4.5]);
    expect(series.read("cpu")[1]).toEqual([null, null]);
  });
  it("does not take an older sample again", () => {
    const series = new Series(10);
    series.push(sample(2));
    series.push(sample(2));
    expect(series.length).toBe(1);
  });
});
