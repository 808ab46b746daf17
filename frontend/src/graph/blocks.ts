/** Blocks: named runs of layers, as recognised in the network or set by hand in the plan. */

export interface Block {
  name: string;
  kind: string;
  layers: readonly string[];
  parent: string | null;
}

/** All blocks of a network under a plan: those set by hand stand in place of every recognised one that they overlap. */
export function allBlocks(recognised: readonly Block[], byHand: Readonly<Record<string, readonly string[]>>): Block[] {
  const taken = new Set(Object.values(byHand).flat());
  const holds = (block: Block, layers: readonly string[]) => layers.every((layer) => block.layers.includes(layer));
  const manual = Object.entries(byHand).map(([name, layers]) => {
    const stage = recognised.find((block) => block.parent === null && block.layers.length > layers.length && holds(block, layers));
    return { name, kind: "manual", layers, parent: stage?.name ?? null };
  });
  const parents = new Set(manual.map(({ parent }) => parent));
  return [...recognised.filter((block) => parents.has(block.name) || !block.layers.some((layer) => taken.has(layer))), ...manual];
}

/** The blocks that hold a layer, the smallest first. */
export function blocksOf(blocks: readonly Block[], layer: string): Block[] {
  return blocks.filter(({ layers }) => layers.includes(layer)).sort((a, b) => a.layers.length - b.layers.length);
}

/** The smallest block that holds all of a selection and more; null when there is none. */
export function blockAround(blocks: readonly Block[], selection: readonly string[]): Block | null {
  const [first] = selection;
  if (first === undefined) return null;
  const holdsAll = (layers: readonly string[]) => {
    const held = new Set(layers);
    return selection.every((layer) => held.has(layer));
  };
  return blocksOf(blocks, first).find(({ layers }) => layers.length > selection.length && holdsAll(layers)) ?? null;
}
