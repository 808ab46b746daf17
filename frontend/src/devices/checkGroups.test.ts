import { describe, expect, it } from "vitest";
import { checkGroups, describeClock, describePythons, providerWords, reasonsNow } from "./checkGroups";
import { checkSample } from "./checkSample";

const plain = (text: string) => text.replaceAll("\u202f", " ");
const valueOf = (term: string, check = checkSample) => plain(checkGroups(check).flatMap(({ rows }) => rows).find(([name]) => name === term)?.[1] ?? "");

describe("what a check found", () => {
  it("tells how far the clock is off, and in which direction", () => {
    expect(plain(describeClock(3600, 0.01))).toBe("60 min ahead of the studio's, ±10 ms");
    expect(plain(describeClock(-7200, null))).toBe("2.0 h behind the studio's");
    expect(plain(describeClock(0.004, 0.02))).toBe("as the studio's, ±20 ms");
    expect(describeClock(null, null)).toBe("not known");
  });
  it("says of what was not found that it is not known, never 0", () => {
    expect(valueOf("Free now")).toBe("not known");
    expect(valueOf("By quota")).toBe("no quota");
    expect(valueOf("Temperature")).toBe("no sensor");
  });
  it("says of limits that could not be read that they are not known, never that there are none", () => {
    const check = { ...checkSample, limits_known: false };
    expect(valueOf("By quota", check)).toBe("not known");
    expect(valueOf("Control group", check)).toBe("not known");
    expect(valueOf("By quota", { ...check, quota_cores: 0.5 })).toBe("0.5");
    expect(valueOf("Control group")).toBe("no limit");
  });
  it("writes providers as their makers do", () => {
    expect(["CPUExecutionProvider", "TensorrtExecutionProvider", "XnnpackExecutionProvider"].map(providerWords)).toEqual(["CPU", "TensorRT", "XNNPACK"]);
  });
  it("asks for no watts where a meter or a model tells them", () => {
    const reasons = [{ code: "no_sensor", severity: "note" as const, text: "none", next_step: "Declare watts." }, { code: "clock", severity: "limit" as const, text: "off", next_step: "" }];
    const model = { idle_w: 2, busy_w: 6, source: "declared" as const, residual_w: null, calibrated_at: null, points: [] };
    expect(reasonsNow(reasons, { meter: null, model: null })).toEqual(reasons);
    expect(reasonsNow(reasons, { meter: null, model }).map(({ code }) => code)).toEqual(["clock"]);
  });
  it("names the throttling in words", () => {
    const thermal = { temperature_c: 81.25, throttled: ["under_voltage", "capped"], throttled_before: [], frequency_ratio: 0.5 };
    expect(valueOf("Now", { ...checkSample, thermal })).toBe("under-voltage, frequency capped");
    expect(valueOf("Clock rate", { ...checkSample, thermal })).toBe("50 % of the highest");
  });
  it("counts the Pythons beside the one that is used", () => {
    expect(describePythons(checkSample)).toBe("3.11.2, and 1 other");
    expect(describePythons({ ...checkSample, python: null })).toBe("none usable of 2");
    expect(describePythons({ ...checkSample, python: null, pythons: [] })).toBe("none");
  });
});
