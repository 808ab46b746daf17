import { beforeEach, describe, expect, it } from "vitest";
import { buildFolds } from "@/graph/folds";
import { layoutGraph } from "@/graph/layout";
import { at } from "@/graph/network";
import { residualNet } from "@/graph/samples";
import { closeFold, foldAt, openFold, openTo, setAlike, setAll, type Folded } from "./folding";
import { resetView, viewStore } from "./view";

const { network, blocks } = residualNet([2, 2]);
const tree = buildFolds(network, blocks);

/** What is shown with these folds open. */
function scene(open: readonly string[], base = open): Folded {
  const layout = layoutGraph({ count: network.nodes.length, from: network.edges.map(({ from }) => from), to: network.edges.map(({ to }) => to), tree, window: { width: 900, height: 600 }, open, base });
  return { network, tree, layout };
}

const fold = (name: string): number => tree.byName.get(name) ?? -1;
const folds = () => viewStore.getState().folds;

describe("folding", () => {
  beforeEach(() => resetView(null));

  it("opens a block with all that hold it, and keeps the columns as they were wrapped", () => {
    openFold(scene([]), fold("residual3"));
    expect(folds()).toEqual({ open: ["stage2", "residual3"], base: [] });
  });

  it("closes a block and says so", () => {
    closeFold(scene(["stage1", "residual1"], ["stage1"]), fold("residual1"));
    expect(folds()).toEqual({ open: ["stage1"], base: ["stage1"] });
    expect(viewStore.getState().announcement).toBe("Residual block residual1 folded");
  });

  it("opens to a layer only where something hides it", () => {
    const layer = at(at(tree.folds, fold("residual2")).nodes, 3);
    expect(openTo(scene(["stage1"]), layer)).toBe(true);
    expect(folds()?.open).toEqual(["stage1", "residual2"]);
    expect(openTo(scene(["stage1", "residual2"]), layer)).toBe(false);
    expect(openTo(scene([]), 0)).toBe(false);
  });

  it("of all alike, or of all, wraps the whole anew", () => {
    setAlike(scene(["stage1", "stage2"]), fold("residual1"), "open");
    expect(folds()?.open).toHaveLength(6);
    expect(folds()?.base).toEqual(folds()?.open);
    setAlike(scene(folds()?.open ?? []), fold("residual1"), "folded");
    expect(folds()?.open).toEqual(["stage1", "stage2"]);
    setAll(scene(["stage1"]), "folded");
    expect(folds()).toEqual({ open: [], base: [] });
  });

  it("at a layer means the block that hides it, or else the innermost one around it", () => {
    const layer = at(at(tree.folds, fold("residual2")).nodes, 3);
    expect(foldAt(scene(["stage1"]), layer)).toEqual({ fold: fold("residual2"), isOpen: false });
    expect(foldAt(scene(["stage1", "residual2"]), layer)).toEqual({ fold: fold("residual2"), isOpen: true });
    expect(foldAt(scene([]), 1)).toBeNull();
  });
});
