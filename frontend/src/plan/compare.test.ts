import { describe, expect, it } from "vitest";
import { differing } from "./compare";
import { differences, differingSettings, takeFrom } from "./differences";
import type { Content, Rest } from "./content";
import { apply } from "./delta";
import { byRows, content } from "./samples";

const LAYERS = ["a", "b", "c", "d", "e"];
const core = (number: number): Rest["resources"][string] => ({ device: "pi1", cores: [number], processor: "", provider: "" });
const withRest = (plan: Content, rest: Partial<Rest>): Content => ({ ...plan, rest: { ...plan.rest, ...rest } });
const taken = (mine: Content, other: Content, layers: readonly string[]): Content => {
  const delta = takeFrom(mine, other, layers, "taken");
  return delta ? apply(mine, delta) : mine;
};

describe("what differs between two plans", () => {
  const mine = content({ a: "pi1", b: "pi1", c: "pi2", d: "pi2" });

  it("is told in the order of the network, neighbours that differ alike as one", () => {
    const other = content({ a: "pi1", b: "pi3", c: "pi3", d: "pi3", e: "pi3" });
    expect(differing(LAYERS, mine, other)).toEqual(["b", "c", "d", "e"]);
    expect(differences(LAYERS, mine, other)).toEqual([
      { layers: ["b"], mine: ["pi1"], other: ["pi3"] },
      { layers: ["c", "d"], mine: ["pi2"], other: ["pi3"] },
      { layers: ["e"], mine: [], other: ["pi3"] },
    ]);
  });

  it("layers between two differences keep them apart", () => {
    const other = content({ a: "pi2", b: "pi1", c: "pi2", d: "pi2" });
    expect(differences(["a", "b", "c"], mine, content({ ...other.placement, c: "pi1" })).map(({ layers }) => layers)).toEqual([["a"], ["c"]]);
  });

  it("names for the same cores or the same replicas are the same place", () => {
    const one = withRest(content({ a: "left", b: "both" }), { resources: { left: core(0) }, replicas: { both: { places: ["pi1", "pi2"] } } });
    const two = withRest(content({ a: "first", b: "all" }), { resources: { first: core(0) }, replicas: { all: { places: ["pi2", "pi1"] } } });
    const three = withRest(content({ a: "left", b: "both" }), { resources: { left: core(1) }, replicas: one.rest.replicas });
    expect(differing(LAYERS, one, two)).toEqual([]);
    expect(differing(LAYERS, one, three)).toEqual(["a"]);
  });

  it("a layer that is divided otherwise is elsewhere", () => {
    const halves = content({}, [byRows(["a", "b"], ["pi1", "pi2"])]);
    expect(differing(LAYERS, halves, content({}, [byRows(["a", "b"], ["pi1", "pi2"], [2, 1])]))).toEqual(["a", "b"]);
    expect(differing(LAYERS, halves, content({}, [byRows(["a", "b"], ["pi1", "pi2"])]))).toEqual([]);
  });

  it("settings are told by name, what is only written beside the plan is not", () => {
    expect(differingSettings(mine, withRest(mine, { micro_batch: 4, notes: "other" }))).toEqual(["frames in one go"]);
  });
});

describe("taking layers from another plan", () => {
  const mine = withRest(content({ a: "pi1", b: "pi1", c: "pi2", d: "pi2" }), { notes: "mine" });

  it("moves them and nothing else, and what the other leaves open is open", () => {
    const other = withRest(content({ a: "pi3", b: "pi3", c: "pi3" }), { notes: "theirs" });
    const after = taken(mine, other, ["b", "d"]);
    expect(after.placement).toEqual({ a: "pi1", b: "pi3", c: "pi2" });
    expect(after.rest.notes).toBe("mine");
    expect(differing(LAYERS, taken(mine, other, LAYERS), other)).toEqual([]);
  });

  it("brings layers that are divided together together", () => {
    const other = content({ d: "pi1" }, [byRows(["a", "b"], ["pi1", "pi2"]), byRows(["c"], ["pi2", "pi3"])]);
    const after = taken(mine, other, ["a"]);
    expect(after.placement).toEqual({ c: "pi2", d: "pi2" });
    expect(after.shards).toEqual([byRows(["a", "b"], ["pi1", "pi2"])]);
    const back = taken(after, mine, ["b"]);
    expect([back.placement, back.shards]).toEqual([mine.placement, []]);
  });

  it("brings names along, and never takes one that means something else here", () => {
    const here = withRest(content({ a: "all" }), { replicas: { all: { places: ["pi1", "pi2"] } } });
    const there = withRest(content({ b: "all", c: "all" }), { replicas: { all: { places: ["pi2", "pi3"] } } });
    const after = taken(here, there, ["b", "c"]);
    expect(after.placement).toEqual({ a: "all", b: "all-2", c: "all-2" });
    expect(after.rest.replicas).toEqual({ all: { places: ["pi1", "pi2"] }, "all-2": { places: ["pi2", "pi3"] } });
    expect(differing(["b", "c"], after, there)).toEqual([]);
  });

  it("is no step where nothing differs", () => {
    expect(takeFrom(mine, content({ a: "pi1" }), ["a"], "taken")).toBeNull();
  });
});
