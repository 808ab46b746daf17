import { describe, expect, it } from "vitest";
import type { PowerModel } from "@/api/types";
import { holdWords, LEVELS, levelWords, niceStep, plotOf, secondsLeft, typedWatts, warningsOf } from "./calibration";

const model: PowerModel = {
  idle_w: 2, busy_w: 6, source: "calibrated", residual_w: 0.5, calibrated_at: null,
  points: [{ level: 0, utilisation: 0.02, power_w: 2.1, source: "typed", assumed: false }, { level: 1, utilisation: 1, power_w: 5.5, source: "typed", assumed: false }],
};

const plain = (text: string) => text.replaceAll("\u202f", " ");

describe("what is doubtful of a calibration", () => {
  const point = { level: 0.25, utilisation: 0.25, power_w: 3, source: "typed", assumed: false };
  it("is nothing where every level was held and the line meets its points", () => {
    expect(warningsOf(model)).toEqual([]);
  });
  it("is a level that was never held: how busy the device was is assumed", () => {
    const [warning, ...others] = warningsOf({ ...model, points: [{ ...point, assumed: true }] }).map(plain);
    expect(warning).toMatch(/^Not held: 25 %\./);
    expect(others).toEqual([]);
  });
  it("is a level at which something else ran", () => {
    expect(warningsOf({ ...model, points: [{ ...point, level: 0, utilisation: 0.93 }] }).map(plain)[0]).toContain("busy to 93 % where 0 % was asked for");
  });
  it("is a line that misses its points by more than 15 % of the span", () => {
    expect(warningsOf({ ...model, residual_w: 0.6 })).toEqual([]);
    expect(plain(warningsOf({ ...model, residual_w: 0.8 })[0] ?? "")).toContain("±0.80 W off the line, 20 % of the span");
    expect(warningsOf({ ...model, busy_w: 2 })[0]).toContain("do not rise with the load");
  });
  it("is nothing of declared watts: they have no points", () => {
    expect(warningsOf({ ...model, source: "declared", residual_w: null, points: [] })).toEqual([]);
  });
});

describe("a level", () => {
  const job = { state: "running" as const, step: "at 25% of its cores", done: 5, total: 20 };
  it("says when its watts were typed without a hold, or the hold did not reach its end", () => {
    expect(holdWords(null, false)).toBe("");
    expect(holdWords(null, true)).toBe("not held");
    expect(holdWords(job, false)).toBe("at 25% of its cores, 15 s left");
    expect(holdWords({ ...job, state: "done" }, true)).toBe("was kept there");
    expect(holdWords({ ...job, state: "cancelled" }, true)).toBe("not held to the end");
  });
});

describe("calibration", () => {
  it("names the levels", () => {
    expect(LEVELS.map(levelWords).map((text) => text.replaceAll("\u202f", " "))).toEqual(["idle", "25 %", "50 %", "75 %", "100 %"]);
  });
  it("sends the typed watts only when none is missing", () => {
    expect(typedWatts([0, 1], { "0": 2, "1": null })).toBeNull();
    expect(typedWatts([0, 0.25], { "0": 0, "0.25": 3.5 })).toEqual({ "0": 0, "0.25": 3.5 });
  });
  it("counts down from when the device is kept at a level, not from when its agent starts", () => {
    expect(secondsLeft({ done: 0, total: null })).toBeNull();
    expect(secondsLeft({ done: 5, total: 20 })).toBe(15);
    expect(secondsLeft({ done: 21, total: 20 })).toBe(0);
  });
  it("puts points, line and band into the box, watts from 0", () => {
    const plot = plotOf(model, 100, 50);
    expect(plot.points[1]?.x).toBe(100);
    expect(plot.line.y1).toBeLessThan(plot.line.y0);
    expect(plot.band?.top0).toBeLessThan(plot.line.y0);
    expect(plot.band?.bottom1).toBeGreaterThan(plot.line.y1);
    expect(plot.ticks[0]).toEqual({ y: 50, watts: 0 });
    for (const y of [plot.line.y0, plot.line.y1, ...plot.points.map((point) => point.y), ...plot.ticks.map((tick) => tick.y)]) {
      expect(y).toBeGreaterThanOrEqual(0);
      expect(y).toBeLessThanOrEqual(50);
    }
  });
  it("draws no band for a model without residual", () => {
    expect(plotOf({ ...model, residual_w: null }, 10, 10).band).toBeNull();
  });
  it.each([[7, 4, 2], [0.9, 4, 0.5], [100, 4, 50]])("steps of %d in %d are %d", (range, most, step) => {
    expect(niceStep(range, most)).toBeCloseTo(step);
  });
});
