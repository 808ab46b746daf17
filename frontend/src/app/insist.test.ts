import { expect, it } from "vitest";
import { insist } from "./insist";

it("a part that cannot be fetched is fetched again, ever more seldom, until it is there", async () => {
  const waited: number[] = [];
  let tries = 0;
  const load = () => ((tries += 1) < 6 ? Promise.reject(new TypeError("away")) : Promise.resolve("part"));
  const wait = (ms: number) => {
    waited.push(ms);
    return Promise.resolve();
  };
  expect(await insist(load, wait)).toBe("part");
  expect(waited).toEqual([1000, 2000, 4000, 8000, 8000]);
});
