import { expect, test } from "vitest";
import { apart } from "./livePaint";

const sign = (x: number, y: number) => ({ x, y, width: 80, height: 14 });

test("signs stand below those that they would cover, and elsewhere where they are", () => {
  const ys = (...signs: ReturnType<typeof sign>[]) => apart(signs, 2).map(({ y }) => y);
  expect(ys(sign(0, 0), sign(200, 4))).toEqual([0, 4]);
  expect(ys(sign(0, 10), sign(40, 0))).toEqual([0, 16]);
  // One that is moved meets the next, which is moved, too.
  expect(ys(sign(0, 0), sign(0, 10), sign(0, 20))).toEqual([0, 16, 32]);
});
