import { describe, expect, it } from "vitest";
import { buildFolds, shownFold } from "@/graph/folds";
import { at, type Network } from "@/graph/network";
import { denseNet, inceptionNet, residualNet, type Sample } from "@/graph/samples";
import { boundariesOf, bounded, firstFront, lastBefore, lastFront, movedTo, stepped, type Boundary, type UnitOf } from "./boundary";
import type { Content } from "./content";
import { byRows, content } from "./samples";

const NETS: [string, Sample][] = [["ResNet", residualNet([2, 2])], ["DenseNet", denseNet([3, 3])], ["Inception", inceptionNet(3)]];
const each: UnitOf = (node) => node;

/** The first part of the layers on one device, the rest on another. */
function halves(network: Network, share: number, devices: readonly string[] = ["pi-1", "pi-2"]): Content {
  const layers = network.nodes.filter(({ kind }) => kind === "layer");
  return content(Object.fromEntries(layers.map(({ name }, i) => [name, i < layers.length * share ? at(devices, 0) : at(devices, 1)])));
}

/** Cards as they are shown with every block folded. */
function folded({ network, blocks }: Sample): UnitOf {
  const tree = buildFolds(network, blocks);
  return (node) => {
    const fold = shownFold(tree, node, () => false);
    return fold < 0 ? node : -1 - fold;
  };
}

const moved = (network: Network, plan: Content, boundary: Boundary, front: number): Content => ({
  ...plan,
  placement: { ...plan.placement, ...Object.fromEntries(movedTo(network, plan, boundary, front)) },
});

const only = (boundaries: readonly Boundary[]): Boundary => {
  expect(boundaries).toHaveLength(1);
  return at(boundaries, 0);
};

describe.each(NETS)("the front between two devices of a %s", (_, sample) => {
  const { network } = sample;
  const plan = halves(network, 0.5);

  it.each([["each layer by itself", each], ["blocks whole", folded(sample)]])("wherever it is moved, no tensor goes back over it (%s)", (_units, unitOf) => {
    const boundary = only(boundariesOf(network, plan, unitOf));
    for (let front = firstFront(boundary); front <= lastFront(boundary); front += 1) {
      const { placement } = moved(network, plan, boundary, front);
      for (const { from, to } of network.edges) {
        const [a, b] = [from, to].map((node) => placement[at(network.nodes, node).name]);
        expect([a, b]).not.toEqual(["pi-2", "pi-1"]);
      }
    }
  });

  it("stays where it was moved to, with the same layers on either side of it", () => {
    const boundary = only(boundariesOf(network, plan, each));
    const wanted = firstFront(boundary) + 2;
    const again = only(boundariesOf(network, moved(network, plan, boundary, wanted), each));
    expect(again.front).toBe(wanted);
    expect([...again.units.flat()].sort()).toEqual([...boundary.units.flat()].sort());
  });

  it("moved there and back it has changed nothing", () => {
    const boundary = only(boundariesOf(network, plan, each));
    const there = moved(network, plan, boundary, bounded(boundary, boundary.front + 5));
    const back = moved(network, there, boundary, boundary.front);
    expect(back.placement).toEqual(plan.placement);
  });

  it("passes one unit with each step, and leaves at least one on each side", () => {
    const boundary = only(boundariesOf(network, plan, each));
    expect(movedTo(network, plan, boundary, stepped(boundary, 1)).size).toBe(1);
    expect(movedTo(network, plan, boundary, stepped(boundary, -1)).size).toBe(1);
    expect(bounded(boundary, 1e6)).toBe(boundary.units.length - 1);
    expect(bounded(boundary, -1e6)).toBe(1);
  });
});

describe("fronts", () => {
  const { network } = residualNet([2]);
  const names = network.nodes.filter(({ kind }) => kind === "layer").map(({ name }) => name);
  const place = (deviceOf: (i: number) => string) => content(Object.fromEntries(names.map((name, i) => [name, deviceOf(i)])));

  it("of a device between two stretches of another are two, though a skip edge joins the stretches", () => {
    // The Add of the last block takes what came before it, around the middle.
    const add = names.findLastIndex((name) => name.startsWith("add"));
    const plan = place((i) => (i < add - 3 || i >= add ? "pi-1" : "pi-2"));
    const [first, second] = boundariesOf(network, plan, each);
    expect([first?.before, first?.after, second?.before, second?.after]).toEqual(["pi-1", "pi-2", "pi-2", "pi-1"]);
    expect(first && movedTo(network, plan, first, lastFront(first)).size).toBe(2);
    const passed = second ? [...movedTo(network, plan, second, stepped(second, 1)).keys()] : [];
    expect(passed).toEqual([at(names, add)]);
  });

  it("cut through a folded block: one step down gives it to the one, one step up to the other", () => {
    const sample = residualNet([2]);
    const unitOf = folded(sample);
    const first = at(names.map((name) => network.layerIndex.get(name) ?? -1), 5);
    const plan = place((i) => (i <= 4 ? "pi-1" : "pi-2"));
    const boundary = only(boundariesOf(network, plan, unitOf));
    expect(boundary.cuts).toBe(true);
    const [down, up] = [movedTo(network, plan, boundary, stepped(boundary, 1)), movedTo(network, plan, boundary, stepped(boundary, -1))];
    expect([...new Set(down.values())]).toEqual(["pi-1"]);
    expect([...new Set(up.values())]).toEqual(["pi-2"]);
    expect(down.size + up.size).toBe(network.nodes.filter(({ index }) => unitOf(index) === unitOf(first)).length);
  });

  it("are named by the last layer before them, with the edges that cross", () => {
    const plan = place((i) => (i < 2 ? "pi-1" : "pi-2"));
    const boundary = only(boundariesOf(network, plan, each));
    expect(lastBefore(network, boundary)).toBe(at(names, 1));
    expect(boundary.edges.map((edge) => at(network.nodes, at(network.edges, edge).from).name)).toEqual([at(names, 1)]);
  });

  it("of three devices in a row are two; of unplaced, divided and shared layers there are none", () => {
    expect(boundariesOf(network, place((i) => `pi-${Math.min(Math.floor(i / 5), 2)}`), each)).toHaveLength(2);
    expect(boundariesOf(network, content({ [at(names, 0)]: "pi-1" }), each)).toHaveLength(0);
    const divided = content({ [at(names, 0)]: "pi-1" }, [byRows([at(names, 1)], ["pi-1", "pi-2"])]);
    expect(boundariesOf(network, divided, each)).toHaveLength(0);
  });
});
