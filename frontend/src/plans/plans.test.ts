import { beforeEach, describe, expect, it } from "vitest";
import type { Deployment, Model, SavedPlan } from "@/api/types";
import { planDocument, type Content } from "@/plan/content";
import { assignLayers, beginGesture, endGesture, goTo, openPlan, planStore, undo, writeNotes } from "@/plan/store";
import { content } from "@/plan/samples";
import { predictionSample, searchSample } from "@/planner/samples";
import { baselineKey, closeComparison, comparingStore, compareWith, exchange, leaveOut, RUNNING, savedKey } from "./comparing";
import { bestOf, figureOf, restsOn } from "./figures";
import { rowsOf } from "./steps";
import { copyName, firstLine, freeName, subjectsOf } from "./subjects";
import { stepFrom } from "./walk";

const MODEL = { id: "m", name: "net", digest: "0".repeat(64), simplified: false, dims: {} } as unknown as Model;
const saved = (id: number, name: string, plan: Content, simplified = false): SavedPlan => ({ id, model_id: "m", name, revision: 1, updated_at: "2026-01-01T00:00:00Z", plan: planDocument({ ...MODEL, simplified }, plan) });

describe("the best figure", () => {
  it("is the most of some and the least of others, and equal ones are both the best", () => {
    expect([...bestOf("throughput", [3, 5, 5])]).toEqual([1, 2]);
    expect([...bestOf("latency", [0.3, 0.1, null])]).toEqual([1]);
  });

  it("is none where there is nothing to compare, and what is not known is never the least", () => {
    expect(bestOf("energy", [null, 2]).size).toBe(0);
    expect(bestOf("memory", [7, 7]).size).toBe(0);
    expect([...bestOf("energy", [null, 2, 1])]).toEqual([2]);
    expect(figureOf("energy", { ...predictionSample, total_energy_j: null })).toBeNull();
  });

  it("is told with what it rests on", () => {
    expect(restsOn(predictionSample)).toBe("Predicted from measured profiles and links.");
    const [device] = predictionSample.devices;
    expect(restsOn({ ...predictionSample, estimated: true, devices: device ? [{ ...device, estimated: ["compute"] }] : [] })).toContain("computing of a");
  });
});

describe("what can lie beside the open plan", () => {
  const plan = content({ a: "pi1" });
  const running = { id: "d", plan: planDocument(MODEL, plan) } as Deployment;

  it("is what runs, every other plan of this form of the network, and the baselines", () => {
    const list = [saved(1, "one", plan), saved(2, "two", plan), saved(3, "other form", plan, true)];
    const keys = subjectsOf(MODEL, 2, list, running, searchSample.baselines).map(({ key }) => key);
    expect(keys).toEqual([RUNNING, savedKey(1), baselineKey("best single device"), baselineKey("whole network on every device")]);
  });

  it("gets another version with another content", () => {
    const [before] = subjectsOf(MODEL, null, [saved(1, "one", plan)], null, []);
    const [after] = subjectsOf(MODEL, null, [{ ...saved(1, "one", plan), revision: 2 }], null, []);
    expect(before?.version).not.toBe(after?.version);
  });
});

describe("the choice of plans", () => {
  beforeEach(closeComparison);

  it("marks the one that was chosen last, and the next one when that is left out", () => {
    compareWith(["a"]);
    compareWith(["b", "c"]);
    expect(comparingStore.getState()).toMatchObject({ open: true, chosen: ["a", "b", "c"], against: "b" });
    leaveOut("b");
    expect(comparingStore.getState()).toMatchObject({ chosen: ["a", "c"], against: "a" });
  });

  it("changes places with the open plan when that is changed", () => {
    compareWith([savedKey(2)]);
    exchange(savedKey(2), savedKey(1));
    expect(comparingStore.getState()).toMatchObject({ chosen: [savedKey(1)], against: savedKey(1) });
  });

  it("is walked round and round", () => {
    expect([stepFrom(null, 1, 3), stepFrom(2, 1, 3), stepFrom(0, -1, 3), stepFrom(null, -1, 3), stepFrom(7, 1, 3)]).toEqual([0, 0, 2, 2, 0]);
  });
});

describe("names", () => {
  it("of new plans and copies are free", () => {
    expect(freeName("Plan", ["Plan", "Plan 2"])).toBe("Plan 3");
    expect(copyName("Night", ["Night"])).toBe("Night copy");
    expect(copyName("Night copy", ["Night", "Night copy"])).toBe("Night copy 2");
    expect(copyName("x".repeat(120), []).length).toBeLessThanOrEqual(120);
    // A halved character cannot be encoded: this would throw.
    expect(decodeURIComponent(encodeURIComponent(freeName(`x${"🐈".repeat(130)}`, [])))).toBe(`x${"🐈".repeat(119)}`);
  });

  it("are followed by the first line of the notes that says something", () => {
    expect(firstLine("\n  \n fans are loud \nmore")).toBe("fans are loud");
  });
});

describe("the list of steps", () => {
  beforeEach(() => openPlan(content({ a: "pi1" })));
  const labels = () => rowsOf(planStore.getState().history).map(({ label }) => label);

  it("has the newest on top, and what was undone above the present one until a new edit", () => {
    assignLayers(["a"], "pi2");
    assignLayers(["a"], "pi3");
    assignLayers(["a"], "pi4");
    goTo(1);
    expect(labels()).toEqual(["a → pi4", "a → pi3", "a → pi2", "As it was opened"]);
    expect(planStore.getState().history.future).toHaveLength(2);
    assignLayers(["a"], "pi5");
    expect(labels()).toEqual(["a → pi5", "a → pi2", "As it was opened"]);
  });

  it("has one row for a stroke of the brush, and one for what is written at a time", () => {
    beginGesture();
    assignLayers(["a"], "pi2");
    assignLayers(["b"], "pi2");
    endGesture("2 layers painted");
    for (const notes of ["f", "fa", "fan"]) writeNotes(notes);
    expect(labels()).toEqual(["Notes", "2 layers painted", "As it was opened"]);
    undo();
    expect(planStore.getState().content.rest.notes).toBe("");
  });
});
