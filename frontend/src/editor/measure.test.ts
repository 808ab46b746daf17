import { describe, expect, it } from "vitest";
import { residualNet } from "@/graph/samples";
import { content } from "@/plan/samples";
import { largestOf, shareOf, tellMeasure } from "./measure";

describe("The measure of the bars and of the heat map", () => {
  const { network } = residualNet([1]);
  const names = network.nodes.filter(({ kind }) => kind === "layer").map(({ name }) => name);
  const costs = new Map([["pi", new Map(names.map((name, i) => [name, { seconds: i, joules: null }]))]]);
  const plan = content(Object.fromEntries(names.map((name) => [name, "pi"])));

  it("is drawn by its root; what is not known is nothing", () => {
    expect([shareOf(25, 100), shareOf(100, 100), shareOf(null, 100), shareOf(5, 0)]).toEqual([0.5, 1, 0, 0]);
    expect(tellMeasure(null, "seconds")).toBe("–");
    expect(tellMeasure(1500, "parameters").replace("\u202f", " ")).toBe("1.50 K");
  });

  it("has layers with the largest values, and their share of the whole", () => {
    const largest = largestOf(network, "seconds", plan, costs, 3);
    expect(largest.map(({ node }) => network.nodes[node]?.name)).toEqual(names.slice(-3).reverse());
    const total = names.reduce((sum, _, i) => sum + i, 0);
    expect(largest[0]?.share).toBeCloseTo((names.length - 1) / total);
    expect(largestOf(network, "joules", plan, costs, 3)).toEqual([]);
  });
});
