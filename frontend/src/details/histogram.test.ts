import { describe, expect, it } from "vitest";
import type { WeightFigures } from "@/api/types";
import { barsOf, factsOf, slicesPath, tellBar, tellHistogram } from "./histogram";

const plain = (text: string) => text.replaceAll("\u202f", " ").replaceAll("\u2212", "-");

describe("A weight's histogram", () => {
  it("is drawn by its counts or by their logarithm, and what is not empty is seen", () => {
    const histogram = { edges: [0, 1, 2, 3], counts: [10_000, 0, 1] };
    expect(barsOf(histogram, false).map(({ height }) => height)).toEqual([1, 0, 0.02]);
    const [, , rare] = barsOf(histogram, true);
    expect(rare?.height).toBeCloseTo(Math.log(2) / Math.log(10_001));
    expect(barsOf({ edges: [0, 1], counts: [0] }, true)).toEqual([{ low: 0, high: 1, count: 0, height: 0 }]);
  });

  it("tells a bin of one whole number by that number, others by their ends", () => {
    expect(plain(tellBar({ low: -3.5, high: -2.5, count: 5 }, 10))).toBe("-3: 5 (50 %)");
    expect(plain(tellBar({ low: -0.5, high: 3.5, count: 5 }, 10))).toBe("0 to 3: 5 (50 %)");
    expect(plain(tellBar({ low: 0.1, high: 0.2, count: 5 }, 0))).toBe("0.1 to 0.2: 5 (0 %)");
  });

  it("is told in a sentence: its range, and where the most lie", () => {
    expect(plain(tellHistogram({ edges: [-2, -1, 0, 1, 2], counts: [1, 5, 6, 1] }))).toBe("13 values from -2 to 2; half of them or more lie in -1 to 1.");
    expect(plain(tellHistogram({ edges: [0.5, 1.5], counts: [64] }))).toBe("All 64 values are 1.");
    expect(tellHistogram({ edges: [0, 1], counts: [0] })).toBe("No values.");
  });
});

describe("A weight's facts", () => {
  const figures: WeightFigures = { looked_at: 8, zeros: 2, not_numbers: 0, infinite: 0, minimum: -1, maximum: 1, mean: 0, std: 0.5, histogram: null, slices: null };

  it("mark what is odd, and say where only a part was read", () => {
    expect(factsOf(figures, 8).map(({ name }) => name)).toEqual(["Range", "Mean ± deviation", "Zeros"]);
    const odd = factsOf({ ...figures, not_numbers: 1, infinite: 1 }, 16);
    expect(odd.filter(({ isOdd }) => isOdd).map(({ name, text }) => plain(`${name} ${text}`))).toEqual(["Not a number 1 (13 %)", "Infinite 1 (13 %)"]);
    expect(plain(odd.at(-1)?.text ?? "")).toBe("50 %, spread evenly");
  });

  it("are dashes where nothing is finite", () => {
    expect(factsOf({ ...figures, minimum: null, maximum: null, mean: null, std: null }, 8)[0]?.text).toBe("–");
  });
});

describe("The ranges of slices", () => {
  it("are one path with zero in it; slices without a range are left out", () => {
    expect(slicesPath({ minimum: [1, null], maximum: [2, null] }, 20, 10)).toEqual({ path: "M5 5V0", step: 10, zero: 10 });
    expect(slicesPath({ minimum: [0], maximum: [0] }, 10, 10)?.path).toBe("M5 10V9.4");
    expect(slicesPath({ minimum: [null], maximum: [null] }, 10, 10)).toBeNull();
  });
});
