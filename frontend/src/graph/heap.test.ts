import { expect, it } from "vitest";
import { Heap } from "./heap";
import { chance } from "./samples";

it("gives what was put in by its key, however pushes and pops come", () => {
  const random = chance(3);
  const heap = new Heap<number>((item) => item);
  const inside: number[] = [];
  for (let i = 0; i < 500; i += 1) {
    if (random() < 0.6) {
      const item = Math.floor(random() * 100);
      heap.push(item);
      inside.push(item);
    } else expect(heap.pop()).toBe(inside.sort((a, b) => a - b).shift());
  }
  expect(inside.sort((a, b) => a - b)).toEqual(Array.from({ length: inside.length }, () => heap.pop()));
  expect(heap.pop()).toBeUndefined();
});
