/** Which device each layer is on; a layer without an entry is unplaced. */
export type Placement = Readonly<Record<string, string>>;

/** Whether two placements say the same (the order of entries says nothing). */
export function samePlacement(a: Placement, b: Placement): boolean {
  if (a === b) return true;
  const keys = Object.keys(a);
  return keys.length === Object.keys(b).length && keys.every((layer) => a[layer] === b[layer]);
}

/** How many layers are placed otherwise. */
export function countDifferences(a: Placement, b: Placement): number {
  return new Set([...Object.keys(a), ...Object.keys(b)].filter((layer) => a[layer] !== b[layer])).size;
}
