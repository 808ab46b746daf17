import { describe, expect, it } from "vitest";
import { apply, invert } from "./delta";
import { devicesOfLayer, devicesOfPlan, placesOfLayer } from "./divisions";
import { crossings } from "./estimate";
import { replicate } from "./replicas";
import { content } from "./samples";

const NAMES = ["a", "b", "c"];
const before = content({ x: "a", y: "a", z: "b" });

function shared(layers: string[], places: string[], from = before) {
  const delta = replicate(from, layers, places, NAMES, "share");
  if (!delta) throw new Error("nothing changed");
  return { delta, after: apply(from, delta) };
}

describe("replicas", () => {
  it("put layers on several devices under one name, and undo takes it back", () => {
    const { delta, after } = shared(["y", "z"], ["b", "c"]);
    expect(after.placement).toEqual({ x: "a", y: "replicas-1", z: "replicas-1" });
    expect(after.rest.replicas).toEqual({ "replicas-1": { places: ["b", "c"] } });
    expect(apply(after, invert(delta))).toEqual(before);
  });
  it("of the same devices are one group, and a group without layers goes", () => {
    const { after } = shared(["y"], ["b", "c"]);
    const same = shared(["z"], ["c", "b"], after).after;
    expect(Object.keys(same.rest.replicas)).toEqual(["replicas-1"]);
    const other = shared(["y", "z"], ["a", "c"], same).after;
    expect(Object.values(other.rest.replicas)).toEqual([{ places: ["a", "c"] }]);
  });
  it("are on all their devices", () => {
    const { after } = shared(["y"], ["b", "c"]);
    expect(placesOfLayer(after, "y")).toEqual(["b", "c"]);
    expect(devicesOfLayer(after, "y")).toEqual(["b", "c"]);
    expect([...devicesOfPlan(after)].sort()).toEqual(["a", "b", "c"]);
  });
  it("take each its share of what comes, and pass nothing on among themselves", () => {
    const { after } = shared(["y", "z"], ["b", "c"]);
    expect(crossings(after, "x", "y", 100)).toEqual([{ from: "a", to: "b", bytes: 50 }, { from: "a", to: "c", bytes: 50 }]);
    expect(crossings(after, "y", "z", 100)).toEqual([]);
  });
});
