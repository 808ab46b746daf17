import { beforeEach, describe, expect, it } from "vitest";
import { byRows, content } from "./samples";
import { assignLayers, changeRest, edit, editElsewhere, openPlan, planDivision, planStore, redo, undo } from "./store";

const now = () => planStore.getState().content;
const labels = () => planStore.getState().history.past.map(({ delta }) => delta.label);
const future = () => planStore.getState().history.future.length;
const theirs = (placement: Record<string, string>) => editElsewhere({ ...now(), placement: { ...now().placement, ...placement } });

describe("what another window did", () => {
  beforeEach(() => openPlan(content({ a: "pi1", b: "pi1", c: "pi1", d: "pi1" })));

  it("is a step below ours: undo takes back our own first, and then theirs", () => {
    assignLayers(["a"], "pi2");
    assignLayers(["b"], "pi2");
    theirs({ c: "pi3", d: "pi3" });
    expect(labels()).toEqual(["Edited in another window: 2 layers", "a → pi2", "b → pi2"]);
    undo();
    expect(now().placement).toEqual({ a: "pi2", b: "pi1", c: "pi3", d: "pi3" });
    undo();
    undo();
    expect(now().placement).toEqual({ a: "pi1", b: "pi1", c: "pi1", d: "pi1" });
  });

  it("stands above our steps that it changed, and is taken back before them", () => {
    assignLayers(["a"], "pi2");
    assignLayers(["b"], "pi2");
    theirs({ a: "pi3" });
    expect(labels()).toEqual(["a → pi2", "Edited in another window: 1 layer", "b → pi2"]);
    undo();
    undo();
    expect(now().placement).toMatchObject({ a: "pi2", b: "pi1" });
  });

  it("is one step, however often the other window saved, and none where it came out even", () => {
    theirs({ a: "pi2" });
    theirs({ b: "pi2" });
    expect(labels()).toEqual(["Edited in another window: 2 layers"]);
    theirs({ a: "pi1", b: "pi1" });
    expect(labels()).toEqual([]);
  });

  it("leaves what was undone to be done again, unless it is about the same layers", () => {
    assignLayers(["a"], "pi2");
    assignLayers(["b"], "pi2");
    undo();
    undo();
    theirs({ c: "pi3" });
    expect(future()).toBe(2);
    theirs({ b: "pi3" });
    expect(future()).toBe(1);
    redo();
    expect(now().placement).toEqual({ a: "pi2", b: "pi3", c: "pi3", d: "pi1" });
  });

  it("keeps its place among divisions and settings", () => {
    edit(planDivision(byRows(["a", "b"], ["pi1", "pi2"])));
    changeRest({ micro_batch: 2 }, "Settings");
    theirs({ c: "pi3" });
    editElsewhere({ ...now(), rest: { ...now().rest, notes: "hello" } });
    expect(labels()).toEqual(["Edited in another window: 1 layer", "Split 2 layers", "Settings", "Edited in another window: settings"]);
    for (let i = 0; i < 4; i += 1) undo();
    expect(now()).toEqual(content({ a: "pi1", b: "pi1", c: "pi1", d: "pi1" }));
  });
});
