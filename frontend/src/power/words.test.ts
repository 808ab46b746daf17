import { describe, expect, it } from "vitest";
import { energySample, powerSample } from "@/live/samples";
import { coverageNote, describeEnergy, describeNoFigure, describeProvenance, describeWindow, formatJoules, formatWatts, joulesOr, wattsOr } from "./words";

const plain = (text: string | null) => text?.replaceAll("\u202f", " ") ?? null;

describe("watts and joules", () => {
  it.each([[0, "0.00 W"], [0.05, "50 mW"], [5.123, "5.12 W"], [12.34, "12.3 W"], [250, "250 W"]])("%d watts", (watts, text) => {
    expect(plain(formatWatts(watts))).toBe(text);
  });
  it.each([[0, "0 J"], [0.000_5, "500 µJ"], [0.0123, "12.3 mJ"], [0.25, "0.25 J"], [1500, "1500 J"], [36_000, "36.0 kJ"], [36e6, "36.00 MJ"]])("%d joules", (joules, text) => {
    expect(plain(formatJoules(joules))).toBe(text);
  });
  it("an absent figure is a dash, never 0", () => {
    expect([wattsOr(null), joulesOr(undefined)]).toEqual(["–", "–"]);
    expect(wattsOr(0)).not.toBe("–");
  });
});

describe("where no watts are shown", () => {
  const sensor = { source: "rapl", scope: "package" as const, method: "counter" as const, usable: true, detail: "", admin_step: null };
  const meter = { kind: "shelly" as const, host: "10.0.0.9", port: 80, user: "", has_password: false };
  const model = { idle_w: 2, busy_w: 6, source: "calibrated" as const, residual_w: null, calibrated_at: null, points: [] };
  it("it is said what would tell them, and that nothing does only where nothing does", () => {
    expect(describeNoFigure([sensor], { meter, model })).toContain("plug at 10.0.0.9");
    expect(describeNoFigure([sensor], { meter: null, model })).toContain("rapl is read");
    expect(describeNoFigure([{ ...sensor, usable: false }], { meter: null, model })).toContain("calibrated model estimates");
    expect(describeNoFigure([{ ...sensor, usable: false }], { meter: null, model: null })).toMatch(/^No source of power/);
  });
});

describe("where a figure comes from", () => {
  it("names source, scope, method and uncertainty", () => {
    expect(plain(describeProvenance({ ...powerSample, source: "rapl", scope: "package", method: "counter", uncertainty: 0.05 }))).toBe("rapl · processor package · energy counter · ±5 %");
  });
  it("tells the coverage only where something is missing", () => {
    expect(coverageNote(1)).toBeNull();
    expect(plain(coverageNote(0.5))).toBe("covers 50 % of the time");
    expect(plain(coverageNote(0.998))).toBe("covers 99.8 % of the time");
    expect(plain(describeProvenance({ ...powerSample, coverage: 0.5 }))).toContain("covers 50 %");
  });
  it("says that an estimate is one, gross and net, and invents no energy", () => {
    expect(plain(describeEnergy(energySample))).toBe("0.25 J per frame est. · net 0.10 J");
    expect(plain(describeEnergy({ ...energySample, method: "counter", net_per_frame_j: null }))).toBe("0.25 J per frame · net –");
    expect(describeEnergy({ ...energySample, gross_per_frame_j: null })).toBeNull();
    expect(describeEnergy(null)).toBeNull();
    expect(plain(describeWindow(energySample))).toBe("40 frames in 3.0 s");
  });
});
