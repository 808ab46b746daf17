import { expect, test } from "vitest";
import { CARD_HEIGHT, ROW_GAP } from "@/graph/layout";
import { lanesOf } from "./fronts";

const [above, through, next] = [-ROW_GAP / 2, CARD_HEIGHT / 2, CARD_HEIGHT + ROW_GAP / 2];

test("handles at one block lie side by side, those of other rows and columns at their lines", () => {
  expect(lanesOf([{ x: 0, y: above }, { x: 0, y: through }, { x: 0, y: through }, { x: 300, y: through }])).toEqual([0, 1, 2, 0]);
  expect(lanesOf([{ x: 0, y: above }, { x: 0, y: next }])).toEqual([0, 0]);
});
