import { describe, expect, it } from "vitest";
import { at } from "./network";
import { onwards } from "./reach";
import { inceptionNet } from "./samples";

describe("from here on", () => {
  const { network } = inceptionNet(2);
  const concat = network.nodes.findIndex(({ op }) => op === "Concat");

  it("are all layers that the edges lead to, and none beside them", () => {
    const after = onwards(network, [concat]);
    expect(after[0]).toBe(concat);
    expect(after).toEqual(network.nodes.filter(({ index, kind }) => kind === "layer" && index >= concat).map(({ index }) => index));
    const branch = at(network.edges, at(at(network.outgoing, concat), 0)).to;
    expect(onwards(network, [branch]).length).toBeLessThan(after.length - 1);
  });

  it("to the next cut are those that stay on the device", () => {
    const device = (node: number) => (node < concat ? "pi-1" : "pi-2");
    const first = network.nodes.findIndex(({ kind }) => kind === "layer");
    expect(onwards(network, [first], (a, b) => device(a) === device(b))).toEqual(network.nodes.filter(({ index, kind }) => kind === "layer" && index < concat).map(({ index }) => index));
  });
});
