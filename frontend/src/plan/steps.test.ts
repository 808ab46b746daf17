import { beforeEach, describe, expect, it } from "vitest";
import { content } from "./samples";
import { stepsNow } from "./steps";
import { assignLayers, beginGesture, endGesture, openPlan, planStore, undo } from "./store";

const opened = content({ a: "pi-1", b: "pi-1" });

describe("the plan before the last step", () => {
  beforeEach(() => openPlan(opened));

  it("is known of the very first edit, though nobody asked before", () => {
    expect(stepsNow()).toMatchObject({ before: null, edit: 0 });
    assignLayers(["a"], "pi-2");
    expect(stepsNow()).toMatchObject({ content: planStore.getState().content, before: opened, edit: 1 });
  });

  it("is the one before a whole gesture, however many edits that has", () => {
    assignLayers(["a"], "pi-2");
    const before = planStore.getState().content;
    beginGesture();
    assignLayers(["a"], "pi-3");
    assignLayers(["b"], "pi-3");
    endGesture("Paint");
    expect(stepsNow().before).toBe(before);
  });

  it("is the one that was undone", () => {
    assignLayers(["a"], "pi-2");
    const edited = planStore.getState().content;
    undo();
    expect(stepsNow()).toMatchObject({ before: edited, edit: 2 });
  });

  it("is none when another plan was opened", () => {
    assignLayers(["a"], "pi-2");
    openPlan(content({ a: "pi-3" }));
    expect(stepsNow()).toMatchObject({ before: null, edit: 0 });
  });
});
