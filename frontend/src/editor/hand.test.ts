import { beforeEach, describe, expect, it } from "vitest";
import { content } from "@/plan/samples";
import { editElsewhere, openPlan, planStore, undo } from "@/plan/store";
import { commit, setSetting, tryAssigning, type Trial } from "./hand";

const placement = (): Readonly<Record<string, string>> => planStore.getState().content.placement;
const held = (layers: readonly string[], place: string): Trial => {
  const trial = tryAssigning(layers, place);
  if (!trial) throw new Error("nothing in the hand");
  return trial;
};

describe("what is let go of after another window has edited the plan", () => {
  beforeEach(() => {
    setSetting(null);
    openPlan(content({ a: "one", b: "one", c: "one" }));
  });

  it("goes on top of that edit, and undo takes back only it", () => {
    const trial = held(["a"], "two");
    editElsewhere(content({ a: "one", b: "three", c: "one" }));
    expect(commit(trial)).toMatchObject({ layers: 1 });
    expect(placement()).toEqual({ a: "two", b: "three", c: "one" });
    undo();
    expect(placement()).toEqual({ a: "one", b: "three", c: "one" });
  });

  it("stands where both put the same layer", () => {
    const trial = held(["a", "b"], "two");
    editElsewhere(content({ a: "three", b: "one", c: "three" }));
    commit(trial);
    expect(placement()).toEqual({ a: "two", b: "two", c: "three" });
  });

  it("is no step where the other window has done the same", () => {
    const trial = held(["a"], "two");
    editElsewhere(content({ a: "two", b: "one", c: "one" }));
    expect(commit(trial)).toMatchObject({ layers: 0 });
    expect(placement()).toEqual({ a: "two", b: "one", c: "one" });
  });
});
