import { describe, expect, it } from "vitest";
import { countDifferences, countSettings, devicesOfLayer, devicesOfPlan, divisionsOf, wholeLayer, whereabouts } from "./divisions";
import { byFilters, byRows, content } from "./samples";
import { describeDivision, describeTakenAway } from "./words";

const parts = (shards: Parameters<typeof divisionsOf>[0], layer: string) => divisionsOf(shards).get(layer)?.parts.map(({ name, place, share }) => [name, place, share]);

describe("divisions", () => {
  it("give each part its device and its share", () => {
    expect(parts([byRows(["a"], ["pi1", "pi2"], [1, 3])], "a")).toEqual([["a#0", "pi1", 0.25], ["a#1", "pi2", 0.75]]);
  });

  it("deal tiles row by row, each as large as its row times its column", () => {
    const grid = { ...byRows(["a"], ["p", "q", "r", "s"], [1, 3]), columns: [1, 1] };
    expect(divisionsOf([grid]).get("a")).toMatchObject({ kind: "grid", parts: [{ share: 0.125 }, { share: 0.125 }, { share: 0.375 }, { share: 0.375 }] });
  });

  it("count parts of parts as shares of the whole layer", () => {
    const shards = [byRows(["a", "b"], ["pi1", "pi2"]), byFilters(["a#1"], ["pi3", "pi4"], [1, 4])];
    expect(parts(shards, "a")).toEqual([["a#0", "pi1", 0.5], ["a#1#0", "pi3", 0.1], ["a#1#1", "pi4", 0.4]]);
    expect(parts(shards, "b")).toHaveLength(2);
    expect(divisionsOf(shards).get("a")?.shardings).toEqual([0, 1]);
  });

  it("leave a layer whose own name has a # in it alone", () => {
    expect(parts([byRows(["odd#0"], ["pi1", "pi2"])], "odd#0")).toEqual([["odd#0#0", "pi1", 0.5], ["odd#0#1", "pi2", 0.5]]);
  });

  it("on named parts of a device are on that device", () => {
    const resources = { core0: { device: "pi1", cores: [0], processor: "cpu" as const, provider: "" as const }, core1: { device: "pi1", cores: [1], processor: "cpu" as const, provider: "" as const } };
    const bare = content({ b: "core0" }, [byRows(["a"], ["core0", "core1", "pi2"])]);
    const plan = { ...bare, rest: { ...bare.rest, resources } };
    expect([devicesOfLayer(plan, "a"), devicesOfLayer(plan, "b"), [...devicesOfPlan(plan)]]).toEqual([["pi1", "pi2"], ["pi1"], ["pi1", "pi2"]]);
  });

  it("name the devices of a layer and of the plan, each once", () => {
    const plan = content({ b: "pi1" }, [byRows(["a"], ["pi2", "pi3", "pi2"])]);
    expect(devicesOfLayer(plan, "a")).toEqual(["pi2", "pi3"]);
    expect(devicesOfLayer(plan, "z")).toEqual([]);
    expect([...devicesOfPlan(plan)]).toEqual(["pi1", "pi2", "pi3"]);
  });

  it("are the same however their fields are ordered", () => {
    const rows = byRows(["a"], ["p", "q"]);
    const turned = Object.fromEntries(Object.entries(rows).reverse()) as typeof rows;
    expect(countDifferences(content({}, [rows]), content({}, [turned]))).toBe(0);
  });

  it("differ where a share differs", () => {
    const [even, uneven] = [content({ b: "x" }, [byRows(["a"], ["p", "q"])]), content({ b: "x" }, [byRows(["a"], ["p", "q"], [1, 2])])];
    expect(whereabouts(even, "a")).not.toBe(whereabouts(uneven, "a"));
    expect([countDifferences(even, uneven), countDifferences(even, content({ b: "x", a: "p" })), countDifferences(even, even)]).toEqual([1, 1, 0]);
  });
});

describe("layers of the divided network", () => {
  const exists = (name: string) => ["conv1", "odd#1"].includes(name);
  it.each([["conv1", "conv1"], ["conv1#0", "conv1"], ["conv1#0#12", "conv1"], ["odd#1", "odd#1"], ["odd#1#0", "odd#1"], ["join:conv1", null], ["take:x#0", null]])("%s comes from %s", (name, layer) => {
    expect(wholeLayer(name, exists)).toBe(layer);
  });
});

describe("in words", () => {
  it("a division tells who holds how much", () => {
    const division = divisionsOf([byRows(["a"], ["pi1", "pi2"], [1, 3])]).get("a");
    expect(division && describeDivision(division).replaceAll("\u202f", " ")).toBe("Rows of the map: pi1 25 %, pi2 75 %");
  });
  it("what went is named, with where its layers are now", () => {
    expect(describeTakenAway([byRows(["a", "b", "c"], ["p", "q"])], "pi1")).toBe("1 division (rows) taken away: a, b and 1 more are whole again, on pi1. Undo brings it back.");
  });
});

describe("settings of a plan", () => {
  it("that change how it runs are counted, names and notes are not", () => {
    const { rest } = content({});
    const codec = { producer: "*", consumer: "*", tensors: [], codec: "lz4" as const, low: 0, high: null };
    expect(countSettings(rest, { ...rest, name: "other", notes: "n" } as typeof rest)).toBe(0);
    expect(countSettings(rest, { ...rest, codecs: [codec], micro_batch: 4 })).toBe(2);
    expect(countSettings(rest, { ...rest, replicas: { pair: { places: ["a", "b"] } } })).toBe(1);
  });
});
