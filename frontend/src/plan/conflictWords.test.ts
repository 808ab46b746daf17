import { describe, expect, it } from "vitest";
import { conflictSide, conflictTitle } from "./conflictWords";
import { EMPTY } from "./content";
import { merge } from "./merge";
import { byRows, content } from "./samples";

describe("what contradicts, in words", () => {
  const base = content({ a: "pi1", b: "pi1" });
  it("names the layers, and where each side has them", () => {
    const [mine, theirs] = [content({ b: "pi1" }, [byRows(["a"], ["pi1", "pi2"])]), content({ b: "pi1" })];
    const [conflict] = merge(base, mine, theirs).conflicts;
    expect(conflict && [conflictTitle(conflict), conflictSide(conflict, mine), conflictSide(conflict, theirs)]).toEqual(["a", "Rows of the map: pi1 50\u202f%, pi2 50\u202f%", "no device"]);
  });
  it("names the setting, and its values", () => {
    const set = (notes: string) => ({ ...base, rest: { ...EMPTY.rest, notes } });
    const [conflict] = merge(base, set("x".repeat(500)), set("<b>")).conflicts;
    expect(conflict && [conflictTitle(conflict), conflictSide(conflict, set("x".repeat(500))), conflictSide(conflict, set("<b>"))]).toEqual(["Notes", `${"x".repeat(120)}…`, "<b>"]);
  });
  it("names each entry of replicas, and one that a side has not", () => {
    const grouped = { ...base, rest: { ...EMPTY.rest, replicas: { g: { places: ["pi1", "pi2"] } } } };
    const other = { ...base, rest: { ...EMPTY.rest, replicas: { g: { places: ["pi1", "pi3"] } } } };
    const [conflict] = merge(base, grouped, other).conflicts;
    expect(conflict && [conflictTitle(conflict), conflictSide(conflict, grouped), conflictSide(conflict, base)]).toEqual(["Replicas g", "pi1, pi2", "none"]);
  });
});
