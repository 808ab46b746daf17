import { describe, expect, it } from "vitest";
import type { ModelSummary } from "@/api/types";
import { PICTURE, pictureBoxes } from "./picture";

const ranks = (count: number, wide = 1): ModelSummary["picture"] => Array.from({ length: count }, () => Array.from({ length: wide }, () => ({ kind: "conv" as const, layers: 1 })));

describe("the small picture of a network", () => {
  it.each([
    [1, 1],
    [12, 1],
    [40, 3],
    [200, 6],
  ])("of %i ranks with %i in each lies within its frame, and nothing upon anything", (count, wide) => {
    const boxes = pictureBoxes(ranks(count, wide));
    expect(boxes).toHaveLength(count * wide);
    for (const box of boxes) {
      expect(box.x).toBeGreaterThanOrEqual(0);
      expect(box.y).toBeGreaterThanOrEqual(0);
      expect(box.x + box.width).toBeLessThanOrEqual(PICTURE.width);
      expect(box.y + box.height).toBeLessThanOrEqual(PICTURE.height);
    }
    const overlaps = boxes.some((a, i) => boxes.slice(i + 1).some((b) => a.x < b.x + b.width - 0.01 && b.x < a.x + a.width - 0.01 && a.y < b.y + b.height - 0.01 && b.y < a.y + a.height - 0.01));
    expect(overlaps).toBe(false);
  });
  it("of a network without one is empty", () => {
    expect(pictureBoxes([])).toEqual([]);
  });
});
