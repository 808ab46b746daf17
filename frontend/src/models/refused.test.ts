import { describe, expect, it } from "vitest";
import { refusedLayers } from "./refused";

describe("layers that are refused", () => {
  it("are told by name and operator, and the rest is counted", () => {
    expect(refusedLayers({ refused: [{ layer: "a", operator: "Trick" }], refused_count: 30 })).toEqual({ layers: [{ layer: "a", operator: "Trick" }], more: 29 });
    expect(refusedLayers({ node: "a", op_type: "Trick" }).layers).toEqual([{ layer: "a", operator: "Trick" }]);
  });
  it("are none where the details are of another form", () => {
    for (const details of [{}, { refused: [1, null, { layer: 3 }] }, { refused: "x" }, { node: "a" }]) expect(refusedLayers(details).layers).toEqual([]);
  });
});
