import { describe, expect, it } from "vitest";
import { initialsOf, marksOf } from "./palette";

describe("device marks", () => {
  it.each([["pi2", "p2"], ["pi-12", "p12"], ["kitchen-board", "kb"], ["nano", "na"], ["local-1", "l1"]])("%s is %s", (name, initials) => {
    expect(initialsOf(name)).toBe(initials);
  });
  it("no two of sixteen devices share colour and pattern", () => {
    const marks = marksOf(Array.from({ length: 16 }, (_, i) => ({ name: `d${i}` })));
    expect(new Set([...marks.values()].map(({ slot, pattern }) => `${slot} ${pattern}`)).size).toBe(16);
  });
});
