import { describe, expect, it } from "vitest";
import { allBlocks, blockAround, blocksOf, type Block } from "./blocks";

const recognised: Block[] = [
  { name: "stage1", kind: "stage", layers: ["a", "b", "c", "d"], parent: null },
  { name: "res1", kind: "residual", layers: ["a", "b"], parent: "stage1" },
  { name: "res2", kind: "residual", layers: ["c", "d"], parent: "stage1" },
  { name: "fire", kind: "fire", layers: ["e", "f"], parent: null },
];

describe("blocks", () => {
  it("of a layer come smallest first", () => {
    expect(blocksOf(recognised, "c").map(({ name }) => name)).toEqual(["res2", "stage1"]);
  });
  it("grow around a selection", () => {
    expect([["a"], ["a", "b"], ["a", "c"], ["a", "b", "c", "d"], ["a", "e"], []].map((layers) => blockAround(recognised, layers)?.name ?? null)).toEqual(["res1", "stage1", "stage1", null, null, null]);
  });
  it("set by hand stand in place of those that they overlap; a stage that holds them whole stays", () => {
    const blocks = allBlocks(recognised, { mine: ["b", "c"], ends: ["d", "e"] });
    expect(blocks.map(({ name, parent }) => [name, parent])).toEqual([["stage1", null], ["mine", "stage1"], ["ends", null]]);
    expect(allBlocks(recognised, {})).toEqual(recognised);
  });
});
