/** The editor's own worker, and dagre in another, asked by the case. */
import { allBlocks } from "@/graph/blocks";
import { buildFolds } from "@/graph/folds";
import { buildNetwork } from "@/graph/network";
import type { View } from "@/graph/layout";

const get = async (name: string) => await (await fetch(`./${name}.json`)).json();
const WINDOW = { width: 940, height: 580 };

const answer = (worker: Worker, message: unknown): Promise<{ ms: number; data: { layout?: { items: unknown[] }; failure?: string | null } }> =>
  new Promise((resolve, reject) => {
    const begin = performance.now();
    worker.onmessage = ({ data }) => resolve({ ms: performance.now() - begin, data });
    worker.onerror = (event) => reject(new Error(event.message));
    worker.postMessage(message);
  });

/** Milliseconds from question to answer, of a fresh worker's first layout (the graph with it) and of `times` later ones. */
async function own(name: string, isOpen: boolean, times: number) {
  const model = await get(name);
  const network = buildNetwork(model);
  const tree = buildFolds(network, allBlocks(model.blocks, {}));
  const graph = { count: network.nodes.length, from: network.edges.map((edge) => edge.from), to: network.edges.map((edge) => edge.to), tree };
  const worker = new Worker(new URL("../../../frontend/src/graph/layout.worker.ts", import.meta.url), { type: "module" });
  const names = isOpen ? tree.folds.map((fold) => fold.name) : [];
  const view: View = { window: WINDOW, open: names, base: names };
  // The worker's own start is no part of a layout; a graph of two nodes wakes it.
  await answer(worker, { id: 0, graph: { count: 2, from: [0], to: [1], tree: null }, view: { window: WINDOW, open: [], base: [] } });
  const first = await answer(worker, { id: 1, graph, view });
  const later: number[] = [];
  for (let i = 0; i < times; i += 1) later.push((await answer(worker, { id: 2 + i, graph: null, view })).ms);
  worker.terminate();
  return { first: first.ms, later, cards: first.data.layout?.items.length ?? 0, nodes: network.nodes.length, edges: network.edges.length };
}

/** dagre on all nodes: its milliseconds, why it failed, or null where it has no answer within the limit. */
async function byDagre(name: string, limitMs: number) {
  const network = buildNetwork(await get(name));
  const worker = new Worker(new URL("./dagre.worker.ts", import.meta.url), { type: "module" });
  const late = new Promise<null>((resolve) => setTimeout(() => resolve(null), limitMs));
  const done = await Promise.race([answer(worker, { count: network.nodes.length, edges: network.edges.map(({ from, to }) => [from, to]) }), late]);
  worker.terminate();
  return done && (done.data.failure ?? done.ms);
}

Object.assign(window, { benchLayout: { own, byDagre } });
