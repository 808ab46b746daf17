import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";
import { beforeEach, describe, expect, it } from "vitest";
import { sameContent, type Placement } from "./content";
import { HISTORY_ROOM, NO_HISTORY, remember, type HistoryStep } from "./history";
import { content } from "./samples";
import { assignLayers, beginGesture, cancelGesture, changeRest, endGesture, goTo, openPlan, planStore, redo, undo } from "./store";

const now = () => planStore.getState().content;
const history = () => planStore.getState().history;
const labels = () => history().past.map(({ delta }) => delta.label);

describe("steps", () => {
  beforeEach(() => openPlan(content({ a: "pi1", b: "pi1" }, [], "mine")));

  it("are gone back and forth by many at once", () => {
    const seen = [now().placement];
    for (const device of ["pi2", "pi3", "pi4"]) {
      assignLayers(["a"], device);
      assignLayers(["b"], device);
      seen.push(now().placement);
    }
    for (const place of [0, 3, 1, 2]) {
      goTo(2 * place);
      expect(now().placement).toEqual(seen[place]);
      expect([history().past.length, history().future.length]).toEqual([2 * place, 6 - 2 * place]);
    }
  });

  it("that were undone go with the next edit, and not before", () => {
    assignLayers(["a"], "pi2");
    assignLayers(["a"], "pi3");
    goTo(0);
    expect(history().future).toHaveLength(2);
    assignLayers(["b"], "pi4");
    expect(history().future).toHaveLength(0);
    expect(labels()).toEqual(["b → pi4"]);
  });

  it("beyond the first and the last are none", () => {
    assignLayers(["a"], "pi2");
    redo();
    goTo(99);
    expect(now().placement["a"]).toBe("pi2");
    undo();
    undo();
    goTo(-5);
    expect(now().placement["a"]).toBe("pi1");
  });
});

describe("a gesture", () => {
  beforeEach(() => openPlan(content({ a: "pi1", b: "pi1" })));

  it("is one step, however many edits it makes", () => {
    beginGesture();
    assignLayers(["a"], "pi2");
    assignLayers(["b"], "pi2");
    assignLayers(["a"], "pi3");
    endGesture("2 layers painted");
    assignLayers(["b"], "pi4");
    expect(labels()).toEqual(["2 layers painted", "b → pi4"]);
    undo();
    expect(now().placement).toEqual({ a: "pi3", b: "pi2" });
    undo();
    expect(now().placement).toEqual({ a: "pi1", b: "pi1" });
    redo();
    expect(now().placement).toEqual({ a: "pi3", b: "pi2" });
  });

  it("that comes out even was none", () => {
    beginGesture();
    assignLayers(["a"], "pi2");
    assignLayers(["a"], "pi1");
    endGesture();
    expect(labels()).toEqual([]);
  });

  it("that comes back to where it began, and goes on, is a step of its own", () => {
    assignLayers(["b"], "pi3");
    beginGesture();
    assignLayers(["a"], "pi2");
    assignLayers(["a"], "pi1");
    assignLayers(["a"], "pi4");
    endGesture("painted");
    expect(labels()).toEqual(["b → pi3", "painted"]);
    undo();
    expect(now().placement).toEqual({ a: "pi1", b: "pi3" });
  });

  it("that comes back to where it began takes no earlier step along, whether it is ended or given up", () => {
    for (const end of [() => endGesture("painted"), cancelGesture]) {
      openPlan(content({ a: "pi1", b: "pi1" }));
      assignLayers(["b"], "pi3");
      beginGesture();
      assignLayers(["a"], "pi2");
      assignLayers(["a"], "pi1");
      end();
      expect(now().placement).toEqual({ a: "pi1", b: "pi3" });
      expect(labels()).toEqual(["b → pi3"]);
    }
  });

  it("that was given up leaves nothing to undo or redo", () => {
    assignLayers(["b"], "pi3");
    beginGesture();
    assignLayers(["a"], "pi2");
    cancelGesture();
    expect(now().placement).toEqual({ a: "pi1", b: "pi3" });
    expect([labels(), history().future]).toEqual([["b → pi3"], []]);
  });
});

describe("the room of the history", () => {
  const layers = Array.from({ length: 1000 }, (_, i) => `layer${i}`);
  const all = (device: string): Placement => Object.fromEntries(layers.map((layer) => [layer, device]));
  const collect = (): number => {
    setFlagsFromString("--expose-gc");
    (runInNewContext("gc") as () => void)();
    return process.memoryUsage().heapUsed;
  };

  it("takes 5,000 steps on 1,000 layers in little memory, and every one can be undone", () => {
    const first = content(all("pi0"));
    openPlan(first);
    const before = collect();
    for (let step = 0; step < 5000; step += 1) assignLayers(layers.slice(step % 990, (step % 990) + 10), `pi${step % 7}`);
    const used = collect() - before;
    const steps = history().past.length;
    expect(steps).toBeGreaterThan(4000);
    expect(history().dropped).toBe(0);
    // A placement of 1,000 layers takes some 8 KB at the least: 5,000 of them twice as much as this.
    expect(used).toBeLessThan(20e6);
    const last = now();
    for (let step = 0; step < 100; step += 1) undo();
    goTo(0);
    expect(sameContent(now(), first)).toBe(true);
    goTo(steps);
    expect(sameContent(now(), last)).toBe(true);
  });

  const everywhere = (label: string): HistoryStep => ({ at: 0, delta: { kind: "assign", label, changes: layers.map((layer) => ({ layer, from: null, to: "pi1" })), shards: null, rest: null } });

  it("is bounded: the oldest steps go where each moves everything", () => {
    let held = NO_HISTORY;
    for (let step = 0; step < 150; step += 1) held = remember(held, everywhere(`step ${step}`), HISTORY_ROOM / 10);
    const { past, dropped, weight } = held;
    expect(weight).toBeLessThanOrEqual(HISTORY_ROOM / 10);
    expect(past.length + dropped).toBe(150);
    expect([past.length > 90, past.at(-1)?.delta.label]).toEqual([true, "step 149"]);
  });

  it("weighs what it holds, whatever is done, undone and done anew", () => {
    openPlan(content({}));
    for (let step = 0; step < 50; step += 1) {
      assignLayers(layers.slice(step, step + 5), "pi1");
      if (step % 3 === 0) undo();
      beginGesture();
      assignLayers(layers.slice(0, 100), "pi2");
      cancelGesture();
      if (step % 7 === 0) changeRest({ notes: `note ${step}` }, "Notes");
    }
    const { past, future, weight } = history();
    const again = [...past, ...[...future].reverse()].reduce((sum, step) => remember(sum, step), NO_HISTORY);
    expect(weight).toBeCloseTo(again.weight, 6);
  });

  it("keeps the newest step, however large it is", () => {
    const step = everywhere("all");
    expect(remember(remember(NO_HISTORY, step, 100), step, 100)).toMatchObject({ past: [step], dropped: 1 });
  });
});
