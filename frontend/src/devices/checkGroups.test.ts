import { describe, expect, it } from "vitest";
import { checkGroups, describeClock, describePythons } from "./checkGroups";
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
