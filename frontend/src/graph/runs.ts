/** Plain runs: layers in single file at one resolution. They are blocks where the network has no branches to tell any. */
import type { Block } from "./blocks";
import { at, type Network } from "./network";

/** A shorter run is no easier to read as one card. */
const SHORTEST = 5;

const resolution = (shape: readonly number[]): string => shape.slice(2).join("x");

/** The runs among the layers that no block but a stage holds; each lies within one stage, or outside of all. */
export function plainRuns(network: Network, blocks: readonly Block[]): Block[] {
  const parents = new Set(blocks.map(({ parent }) => parent));
  const stageOf = new Map<string, string>();
  const taken = new Set<string>();
  for (const { name, layers } of blocks) {
    for (const layer of layers) {
      if (parents.has(name)) stageOf.set(layer, name);
      else taken.add(layer);
    }
  }
  const names = new Set(blocks.map(({ name }) => name));
  const runs: Block[] = [];
  const close = (run: readonly number[]) => {
    const first = run[0];
    if (first === undefined || run.length < SHORTEST) return;
    const layers = run.map((node) => at(network.nodes, node).name);
    let number = runs.length + 1;
    while (names.has(`run${number}`)) number += 1;
    names.add(`run${number}`);
    runs.push({ name: `run${number}`, kind: "run", layers, parent: stageOf.get(at(layers, 0)) ?? null });
  };
  const seen = new Set<number>();
  for (const node of network.nodes) {
    if (node.kind !== "layer" || seen.has(node.index) || taken.has(node.name)) continue;
    const run = [node.index];
    for (let next = follower(network, node.index); next !== null; next = follower(network, next)) {
      const layer = at(network.nodes, next);
      const goesOn = layer.kind === "layer" && !taken.has(layer.name) && !seen.has(next) && resolution(layer.shape) === resolution(node.shape) && stageOf.get(layer.name) === stageOf.get(node.name);
      if (!goesOn) break;
      run.push(next);
    }
    for (const member of run) seen.add(member);
    close(run);
  }
  return runs;
}

/** The one node that a node feeds, if that takes nothing else. */
function follower(network: Network, node: number): number | null {
  const [edge, ...others] = at(network.outgoing, node);
  if (edge === undefined || others.length > 0) return null;
  const { to } = at(network.edges, edge);
  return at(network.incoming, to).length === 1 ? to : null;
}
