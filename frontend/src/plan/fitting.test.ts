import { describe, expect, it } from "vitest";
import { fitTo } from "./fitting";
import { byFilters, byRows, content } from "./samples";

describe("a plan for another version of the network", () => {
  it("gives what this one can take, and says what not", () => {
    const other = content({ a: "pi1", gone: "pi2" }, [byRows(["b"], ["pi1", "pi2"]), byRows(["b", "lost"], ["pi1", "pi2"])]);
    expect(fitTo(other, ["a", "b", "new"])).toMatchObject({
      content: { placement: { a: "pi1" }, shards: [{ layers: ["b"] }] },
      layers: 2,
      gone: ["gone", "lost"],
      left: ["new"],
      divisions: 1,
    });
  });

  it("keeps what divides parts, and drops it with what made them", () => {
    const again = byFilters(["a#0"], ["pi3", "pi4"]);
    expect(fitTo(content({}, [byRows(["a"], ["pi1", "pi2"]), again]), ["a"]).content.shards).toContain(again);
    const dropped = fitTo(content({}, [byRows(["a", "gone"], ["pi1", "pi2"]), again]), ["a"]);
    expect(dropped).toMatchObject({ content: { shards: [] }, layers: 0, left: ["a"], divisions: 2 });
  });

  it("of the same layers fits wholly", () => {
    const whole = content({ a: "pi1" }, [byRows(["b"], ["pi1", "pi2"])]);
    expect(fitTo(whole, ["a", "b"])).toEqual({ content: whole, layers: 2, gone: [], left: [], divisions: 0 });
  });
});
