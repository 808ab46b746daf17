/**
 * A view as part of an address: which layers are selected, which blocks are open, and where the camera stands. Pure.
 *
 * Layers are named by their place in the network, in runs: `3-17.20`. The camera is told from the card nearest to it,
 * because a window of another size wraps the network into other columns.
 */
export interface LinkedView {
  /** Nodes of the network that the numbers count, so that they are never taken for those of another form. */
  nodes: number;
  /** In runs; read with `readRuns` once the network is known: an address may name more numbers than a page can hold. */
  selection: string;
  /** Null: the link says nothing of blocks. */
  open: readonly string[] | null;
  /** Those that were open when the network was wrapped into columns; null: the same. */
  base: readonly string[] | null;
  camera: Place | null;
  table: boolean;
  /** The table's column and `up` or `down`; null: as the network has its layers. */
  sort: { by: string; down: boolean } | null;
  grouped: boolean;
  /** What the bars show; null: the link says nothing of it. */
  measure: string | null;
  heat: boolean;
  details: boolean;
  /** What is searched for. */
  find: string;
  onlyHits: boolean;
}

/** The middle of the window: so far from the middle of a node's card, at this zoom. */
export interface Place {
  node: number;
  x: number;
  y: number;
  zoom: number;
}

/** Whether these name the same, in whichever order. */
export function sameNames(a: readonly string[], b: readonly string[]): boolean {
  const known = new Set(b);
  return a.length === b.length && a.every((name) => known.has(name));
}

/** `[3, 4, 5, 9]` as `3-5.9`. */
export function writeRuns(numbers: Iterable<number>): string {
  const runs: [number, number][] = [];
  for (const number of [...new Set(numbers)].sort((a, b) => a - b)) {
    const last = runs.at(-1);
    if (last?.[1] === number - 1) last[1] = number;
    else runs.push([number, number]);
  }
  return runs.map(([first, last]) => (first === last ? `${first}` : `${first}-${last}`)).join(".");
}

/** Numbers below `end` of such a text, each once; what is none of them is left out. */
export function readRuns(text: string, end: number): number[] {
  const numbers = new Set<number>();
  for (const part of text.split(".")) {
    const found = /^(\d{1,7})(?:-(\d{1,7}))?$/.exec(part);
    if (!found) continue;
    const last = Math.min(Number(found[2] ?? found[1]), end - 1);
    for (let number = Number(found[1]); number <= last; number += 1) numbers.add(number);
    if (numbers.size >= end) break;
  }
  return [...numbers];
}

const writeNames = (names: readonly string[]): string => names.map(encodeURIComponent).join(",");

/** Nothing where it is no text of an address. */
function readText(part: string): string {
  try {
    return decodeURIComponent(part);
  } catch {
    return "";
  }
}

const readNames = (text: string): string[] => text.split(",").map(readText).filter((name) => name !== "");

const rounded = (value: number, digits: number): string => String(Number(value.toFixed(digits)));

/** What is only said where it is so. */
const SIGNS = ["table", "grouped", "heat", "details", "onlyHits"] as const satisfies readonly (keyof LinkedView)[];

export function writeView(view: LinkedView): string {
  const { nodes, selection, open, base, camera, sort, measure, find } = view;
  const parts = [`n=${nodes}`];
  if (selection !== "") parts.push(`sel=${selection}`);
  if (open) parts.push(`open=${writeNames(open)}`);
  if (open && base) parts.push(`base=${writeNames(base)}`);
  if (camera) parts.push(`at=${camera.node}`, `x=${rounded(camera.x, 2)}`, `y=${rounded(camera.y, 2)}`, `z=${rounded(camera.zoom, 4)}`);
  parts.push(...SIGNS.filter((sign) => view[sign]));
  if (sort) parts.push(`sort=${encodeURIComponent(sort.by)}.${sort.down ? "down" : "up"}`);
  if (measure !== null) parts.push(`bar=${encodeURIComponent(measure)}`);
  if (find !== "") parts.push(`find=${encodeURIComponent(find)}`);
  return `?${parts.join("&")}`;
}

/** Read the part of an address after the question mark; null where it says nothing of a view. */
export function readView(search: string): LinkedView | null {
  const parts = new Map(search.replace(/^\?/, "").split("&").map((part) => [/^[^=]*/.exec(part)?.[0] ?? "", part.replace(/^[^=]*=?/, "")] as const));
  const number = (name: string): number | null => {
    const value = Number(parts.get(name) ?? "x");
    return Number.isFinite(value) && parts.get(name) !== "" ? value : null;
  };
  const nodes = number("n");
  if (nodes === null || !Number.isSafeInteger(nodes) || nodes < 1) return null;
  const [node, x, y, zoom] = ["at", "x", "y", "z"].map(number) as [number | null, number | null, number | null, number | null];
  const camera = node !== null && Number.isSafeInteger(node) && node >= 0 && node < nodes && x !== null && y !== null && zoom !== null && zoom > 0 ? { node, x, y, zoom } : null;
  const names = (name: string) => (parts.has(name) ? readNames(parts.get(name) ?? "") : null);
  const text = (name: string) => readText(parts.get(name) ?? "");
  const sort = /^(\w+)\.(up|down)$/.exec(text("sort"));
  return {
    nodes,
    selection: parts.get("sel") ?? "",
    open: names("open"),
    base: names("base"),
    camera,
    ...(Object.fromEntries(SIGNS.map((sign) => [sign, parts.has(sign)])) as Record<(typeof SIGNS)[number], boolean>),
    sort: sort ? { by: sort[1] ?? "", down: sort[2] === "down" } : null,
    measure: text("bar") || null,
    find: text("find"),
  };
}
