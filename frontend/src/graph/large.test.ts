/** What the page works out of ten thousand layers takes twice the work for twice the layers, and not four times. */
import { expect, it } from "vitest";
import { boundariesOf } from "@/plan/boundary";
import type { Content } from "@/plan/content";
import { estimate } from "@/plan/estimate";
import { content } from "@/plan/samples";
import { trafficOf } from "@/plan/traffic";
import { rowsOf, rowSource } from "@/table/rows";
import { buildFolds } from "./folds";
import { at, type Network } from "./network";
import { onwards } from "./reach";
import { counted, oneBlock, residualNet, type Sample } from "./samples";
import { between } from "./select";
import { insideOf } from "./trail";

const BLOCKS = 1250;
const long = (times: number): Sample => residualNet(Array.from({ length: 4 }, () => (BLOCKS * times) / 4));
/** Many branches side by side. */
const wide = (times: number): Sample => oneBlock(1000 * times, 3);

/** Every few layers on another device. */
const dealt = ({ layerIndex }: Network, run: number): Content => content(Object.fromEntries([...layerIndex.keys()].map((name, i) => [name, `pi-${Math.floor(i / run) % 2}`])));
const halves = ({ layerIndex, layerCount }: Network): Content => dealt({ layerIndex } as Network, Math.ceil(layerCount / 2));

const DONE: [string, (of: Sample, network: Network) => unknown][] = [
  ["folding", ({ blocks }, network) => buildFolds(network, blocks)],
  ["the front between two devices", ({ network: plain }, network) => boundariesOf(network, halves(plain), (node) => node, 60)],
  ["the fronts of a plan that changes hands all the time", ({ network: plain }, network) => boundariesOf(network, dealt(plain, 2), (node) => node, 60)],
  ["the sums of a plan", ({ network: plain }, network) => estimate(network, dealt(plain, 2))],
  ["what passes on all edges", ({ network: plain }, network) => plain.edges.map(({ index }) => trafficOf(network, dealtOnce(plain), [index]))],
  ["the rows of the table", ({ network: plain, blocks }, network) => rowsOf(rowSource({ layers: [] }, network, buildFolds(plain, blocks)), halves(plain), new Map(), new Map())],
  ["a range", (_, network) => between(network, 1, network.nodes.length - 2)],
  ["all from here on", (_, network) => onwards(network, [1])],
  ["what is inside a block", ({ network: plain, blocks }, network) => insideOf(network, buildFolds(plain, blocks), 0)],
];

const kept = new WeakMap<Network, Content>();
function dealtOnce(network: Network): Content {
  const known = kept.get(network) ?? dealt(network, 2);
  kept.set(network, known);
  return known;
}

function looksOf(sample: Sample, work: (of: Sample, network: Network) => unknown): number {
  const { network, looks } = counted(sample.network);
  work(sample, network);
  return looks();
}

const [one, two] = [long(1), long(2)];
it.each(DONE)("%s, along a long network", (_, work) => {
  expect(two.network.layerCount).toBeGreaterThan(15_000);
  expect(looksOf(two, work)).toBeLessThan(2.2 * looksOf(one, work));
});

const [narrow, broad] = [wide(1), wide(2)];
it.each(DONE.filter(([name]) => name !== "what passes on all edges"))("%s, of many branches", (_, work) => {
  expect(looksOf(broad, work)).toBeLessThan(2.2 * looksOf(narrow, work));
});

it("a plan that changes hands at every other layer has no front that anybody would draw", () => {
  expect(boundariesOf(one.network, dealt(one.network, 2), (node) => node, 60)).toEqual([]);
  expect(boundariesOf(one.network, halves(one.network), (node) => node, 60).length).toBeLessThan(5);
  expect(at(one.network.nodes, 0).kind).toBe("input");
});
