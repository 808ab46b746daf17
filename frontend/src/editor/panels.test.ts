import { describe, expect, it } from "vitest";
import { isFolded, plannerWidthIn, PLANNER_WIDTH, readPanels } from "./panels";

describe("the columns beside the canvas", () => {
  it("fold the devices beside the planner where there is little room, unless a person wants it otherwise", () => {
    const by = (beside: boolean | null) => ({ folded: { alone: null, beside } });
    expect([isFolded(by(null), true, 1280), isFolded(by(null), true, 1920), isFolded(by(null), false, 1280)]).toEqual([true, false, false]);
    expect([isFolded(by(false), true, 1280), isFolded(by(true), true, 1920)]).toEqual([false, true]);
    expect(isFolded({ folded: { alone: true, beside: false } }, false, 1920)).toBe(true);
    expect([isFolded(by(null), false, 820), isFolded({ folded: { alone: false, beside: null } }, false, 820)]).toEqual([true, false]);
  });
  it("leave the graph its part, and the planner enough to be used", () => {
    expect(plannerWidthIn(600, false, 1920)).toBe(600);
    expect(plannerWidthIn(600, true, 1024)).toBeLessThan(600);
    expect(plannerWidthIn(600, false, 800)).toBe(PLANNER_WIDTH.least);
    expect(plannerWidthIn(5000, true, 4000)).toBe(PLANNER_WIDTH.most);
  });
  it("are as they were left; what makes no sense is as at first", () => {
    const left = { plannerWidth: 420, folded: { alone: true, beside: false } };
    expect(readPanels(JSON.stringify(left))).toEqual(left);
    const first = readPanels(null);
    expect(first.folded).toEqual({ alone: null, beside: null });
    for (const text of ["", "null", "{}", "[1]", '{"plannerWidth":"wide","folded":7}', '{"plannerWidth":null}']) expect(readPanels(text)).toEqual(first);
  });
});
