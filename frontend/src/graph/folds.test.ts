import { describe, expect, it } from "vitest";
import { alike, buildFolds, openings, shownFold, withHolders } from "./folds";
import { at } from "./network";
import { anyNet, denseNet, inceptionNet, plainNet, residualNet } from "./samples";

const folds = ({ network, blocks }: ReturnType<typeof residualNet>) => buildFolds(network, blocks);

describe("folds", () => {
  it("of a residual network are stages that hold blocks", () => {
    const tree = folds(residualNet([3, 4]));
    expect(tree.folds.map(({ name, depth }) => `${depth} ${name}`)).toEqual(["0 stage1", "1 residual1", "1 residual2", "1 residual3", "0 stage2", "1 residual4", "1 residual5", "1 residual6", "1 residual7"]);
    expect(at(tree.folds, 0).children).toEqual([1, 2, 3]);
  });

  it("of a network without branches are its runs at one resolution", () => {
    const tree = folds(plainNet([4, 6, 9]));
    expect(tree.folds.map(({ kind, nodes }) => [kind, nodes.length])).toEqual([["run", 6], ["run", 9]]);
  });

  it.each([
    ["residual", residualNet([2, 2])],
    ["dense", denseNet([4, 6])],
    ["inception", inceptionNet(3)],
    ...Array.from({ length: 12 }, (_, seed) => [`any ${seed}`, anyNet(seed, 80)] as const),
  ] as const)("of a %s network are a tree: each node has one innermost fold, and folds lie within their parent", (_, sample) => {
    const tree = folds(sample);
    for (const fold of tree.folds) {
      expect(fold.nodes.length).toBeGreaterThan(1);
      const parent = tree.folds[fold.parent];
      if (parent) {
        expect(parent.nodes).toEqual(expect.arrayContaining([...fold.nodes]));
        expect(parent.nodes.length).toBeGreaterThan(fold.nodes.length);
        expect(fold.index).toBeGreaterThan(parent.index);
      }
      for (const node of fold.nodes) expect(withHolders(tree, at(tree.foldOf, node))).toContain(fold.index);
    }
  });

  it("that would close a circle are left out: two runs that feed one another", () => {
    const { network } = plainNet([1]);
    const layers = ["a", "b", "c", "d"].map((name, i) => ({ ...at(network.nodes, 1), index: i, name, kind: "layer" as const }));
    const pairs = [[0, 1], [1, 2], [2, 3]] as const;
    const edges = pairs.map(([from, to], index) => ({ index, from, to, tensors: [], bytes: 0 }));
    const graph = { nodes: layers, edges, outgoing: [[0], [1], [2], []], incoming: [[], [0], [1], [2]], layerIndex: new Map(layers.map(({ name, index }) => [name, index])), layerCount: 4 };
    const tree = buildFolds(graph, [
      { name: "odd", kind: "manual", layers: ["a", "c"], parent: null },
      { name: "even", kind: "manual", layers: ["b", "d"], parent: null },
    ]);
    expect(tree.folds).toHaveLength(0);
  });

  it("open from everything to nothing, by way of the stages", () => {
    expect(openings(folds(residualNet([2, 2]))).map(({ length }) => length)).toEqual([6, 2, 0]);
    expect(openings(folds(inceptionNet(2))).map(({ length }) => length)).toEqual([2, 0]);
    expect(openings(folds(plainNet([3])))).toEqual([[]]);
  });

  it("hide a node behind the outermost one that is closed", () => {
    const tree = folds(residualNet([2]));
    const node = at(at(tree.folds, 1).nodes, 0);
    const shown = (...open: number[]) => shownFold(tree, node, (fold) => open.includes(fold));
    expect([shown(), shown(1), shown(0), shown(0, 1)]).toEqual([0, 0, 1, -1]);
    expect(shownFold(tree, 0, () => false)).toBe(-1);
  });

  it("like one are those of its kind", () => {
    const tree = folds(residualNet([2, 3]));
    expect(alike(tree, 1)).toHaveLength(5);
    expect(alike(tree, 0)).toHaveLength(2);
  });
});
