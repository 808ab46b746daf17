import { describe, expect, it } from "vitest";
import { buildFolds } from "./folds";
import { residualNet } from "./samples";
import { around, holderOf, insideOf, nodesOfPlace, trailOf } from "./trail";

const { network, blocks } = residualNet([2, 1]);
const tree = buildFolds(network, blocks);
const fold = (name: string) => tree.byName.get(name) ?? -1;
const inside = tree.folds[fold("residual2")]?.nodes[1] ?? -1;

describe("the trail", () => {
  it("goes from the outermost block to the layer", () => {
    expect(trailOf(tree, inside, -1)).toEqual([{ kind: "fold", fold: fold("stage1") }, { kind: "fold", fold: fold("residual2") }, { kind: "layer", node: inside }]);
  });

  it("ends at the closed block that is seen in place of the layer", () => {
    expect(trailOf(tree, inside, fold("residual2"))).toEqual([{ kind: "fold", fold: fold("stage1") }, { kind: "fold", fold: fold("residual2") }]);
    expect(trailOf(tree, inside, fold("stage1"))).toEqual([{ kind: "fold", fold: fold("stage1") }]);
  });

  it("has beside each crumb all that its holder holds, in order, and each layer once", () => {
    const all = (holder: number): number[] => insideOf(network, tree, holder).flatMap((place) => (place.kind === "fold" ? all(place.fold) : [place.node]));
    expect(all(-1)).toEqual(network.nodes.filter(({ kind }) => kind === "layer").map(({ index }) => index));
    const stage = insideOf(network, tree, fold("stage1"));
    expect(stage).toEqual([{ kind: "fold", fold: fold("residual1") }, { kind: "fold", fold: fold("residual2") }]);
    for (const place of stage) {
      expect(holderOf(tree, place)).toBe(fold("stage1"));
      expect(nodesOfPlace(tree, place).length).toBeGreaterThan(1);
    }
  });

  it("lists no more than can be read, around where it is", () => {
    const many = Array.from({ length: 1000 }, (_, i) => i);
    expect(around(many, 500, 10)).toHaveLength(10);
    expect(around(many, 500, 10)).toContain(500);
    expect(around(many, 999, 10).at(-1)).toBe(999);
    expect(around(many, 0, 10)[0]).toBe(0);
    expect(around([1, 2], 1, 10)).toEqual([1, 2]);
  });
});
