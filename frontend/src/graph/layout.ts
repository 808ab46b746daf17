/** The layout of what is shown: folds as one card, open folds as boxes around what they hold.
 *
 * Each level (`level.ts`) is laid out by itself: transitive reduction, longest-path ranks, order in the rank, columns that
 * wrap, edges routed between. An open fold is an item of its own size in the level above. The columns of every level are
 * broken for a base, the folds that were open when the picture was last made as a whole: what is opened after that only
 * grows in its column. Pure and deterministic; it runs in a worker. Positions are in canvas units at zoom 1.
 */
import { CARD, CARD_HEIGHT, layoutLevel, ROW_GAP, type Box, type EdgeKind, type Size } from "./box";
import { openings, type FoldTree } from "./folds";
import { ItemGrid } from "./grid";
import { buildLevels, type Level, type Levels } from "./level";
import { at } from "./network";
import { labelPoint, roundedPath, type Point } from "./path";
import { longestPathRanks } from "./rank";
import type { Edges } from "./reduce";
import { reservesOf, Strips } from "./strips";
import type { Column } from "./wrap";

export { CARD_HEIGHT, CARD_WIDTH, ROW_GAP } from "./box";
export type { EdgeKind } from "./box";

/** What must still be readable: below this zoom names are too small, and more is folded. */
export const READABLE_ZOOM = 0.62;
/** A picture of so few cards says nothing: then more is opened, as far as cards are still drawn as such. */
const FEW_CARDS = 5;
const LEAST_ZOOM = 0.4;

/** A network as far as its picture depends on it. */
export interface Graph extends Edges {
  /** Without it nothing can be folded. */
  tree?: FoldTree;
}

/** What of it is wanted. */
export interface View {
  window: { width: number; height: number };
  /** Names of the open folds; null: as many as stay readable. */
  open?: readonly string[] | null;
  /** Names of the folds that are open in the columns' base; null: those of `open`. */
  base?: readonly string[] | null;
}

export type LayoutInput = Graph & View;

/** A card: a layer, an end of the network, or a closed fold (then `node` is its first layer's). */
export interface ShownItem {
  node: number;
  fold: number;
  /** Of those that the whole is wrapped into. */
  column: number;
  x: number;
  y: number;
}

/** An open fold. */
export interface Frame {
  fold: number;
  /** From its left edge to where edges come in. */
  inX: number;
  x: number;
  y: number;
  width: number;
  height: number;
}

/** All edges of the network between two cards. */
export interface ShownEdge {
  from: number;
  to: number;
  /** Of the network. */
  edges: readonly number[];
  kind: EdgeKind;
  path: string;
  label: Point;
}

export interface Layout {
  items: ShownItem[];
  /** By node of the network: the card that shows it. */
  itemOf: number[];
  /** Outer ones first. */
  frames: Frame[];
  edges: ShownEdge[];
  /** By item: the rank, and the place in it from the left; what the arrow keys walk along. */
  ranks: number[];
  orders: number[];
  open: readonly string[];
  base: readonly string[];
  columnCount: number;
  width: number;
  height: number;
  /** How far edges run above the first row (negative). */
  top: number;
}

/** Whether an edge only goes down to the card below. */
export function isShort({ items }: Pick<Layout, "items">, { from, to }: Pick<ShownEdge, "from" | "to">): boolean {
  const [above, below] = [at(items, from), at(items, to)];
  return above.x === below.x && below.y > above.y && below.y - above.y - CARD_HEIGHT <= ROW_GAP;
}

const NO_FOLDS = (count: number): FoldTree => ({ folds: [], foldOf: new Int32Array(count).fill(-1), byName: new Map() });

/** Lays out one graph, whose nodes are numbered in topological order, in any view. */
export class Draughtsman {
  private readonly tree: FoldTree;
  private readonly levels: Levels;
  private readonly strips: Strips;

  constructor(private readonly graph: Graph) {
    this.tree = graph.tree ?? NO_FOLDS(graph.count);
    this.levels = buildLevels(graph, this.tree);
    this.strips = new Strips(this.levels, this.tree);
  }

  draw(view: View): Layout {
    if (this.graph.count === 0) return { items: [], itemOf: [], frames: [], edges: [], ranks: [], orders: [], open: [], base: [], columnCount: 0, width: 0, height: 0, top: 0 };
    const open = view.open ?? this.opening(view.window);
    const base = view.base ?? open;
    const plan = this.strips.plan(openIn(this.tree, base), view.window);
    const boxes = new Boxes(this.levels, this.tree, openIn(this.tree, open), (fold) => plan.columns(fold));
    return assemble(this.graph, this.tree, this.levels, boxes, { open, base });
  }

  /** What is open at first. */
  private opening(window: View["window"]): string[] {
    const ways = openings(this.tree);
    const from = (zoom: number) => ways.find((names) => this.strips.plan(openIn(this.tree, names), window).zoom >= zoom);
    const readable = from(READABLE_ZOOM) ?? ways.at(-1) ?? [];
    const isPoor = readable.length === 0 && at(this.levels.levels, 0).items.length <= FEW_CARDS;
    return isPoor ? (from(LEAST_ZOOM) ?? readable) : readable;
  }
}

export const layoutGraph = (input: LayoutInput): Layout => new Draughtsman(input).draw(input);

function openIn(tree: FoldTree, names: readonly string[]): (fold: number) => boolean {
  const indices = new Set(names.map((name) => tree.byName.get(name)));
  return (fold) => indices.has(fold);
}

/** The boxes of all levels that are shown. */
class Boxes {
  private readonly made = new Map<number, Box>();
  private readonly reserves: number[];

  constructor(
    private readonly levels: Levels,
    tree: FoldTree,
    readonly isOpen: (fold: number) => boolean,
    private readonly columns: (fold: number) => Column[],
  ) {
    this.reserves = reservesOf(tree);
  }

  of(fold: number): Box {
    let box = this.made.get(fold);
    if (!box) {
      const level = at(this.levels.levels, fold + 1);
      const sizeOf = (place: number): Size => {
        const item = at(level.items, place);
        return item.fold >= 0 && this.isOpen(item.fold) ? this.of(item.fold) : CARD;
      };
      this.made.set(fold, (box = layoutLevel(level, sizeOf, this.columns(fold), at(this.reserves, fold + 1))));
    }
    return box;
  }
}

function assemble(input: Graph, tree: FoldTree, levels: Levels, boxes: Boxes, names: Pick<Layout, "open" | "base">): Layout {
  const origins = new Map<number, Point>();
  const items: ShownItem[] = [];
  const frames: Frame[] = [];
  const itemOf = new Array<number>(input.count).fill(-1);
  const visit = (level: Level, [x, y]: Point, outer: number | null) => {
    origins.set(level.fold, [x, y]);
    const { positions, columnOf } = boxes.of(level.fold);
    level.items.forEach((item, place) => {
      const column = outer ?? at(columnOf, place);
      const [dx, dy] = at(positions, place);
      const [left, top] = [x + dx, y + dy];
      if (item.fold >= 0 && boxes.isOpen(item.fold)) {
        const { width, height, inX } = boxes.of(item.fold);
        frames.push({ fold: item.fold, inX, x: left, y: top, width, height });
        visit(at(levels.levels, item.fold + 1), [left, top], column);
      } else if (item.fold >= 0 || item.node >= 0) {
        const nodes = item.fold >= 0 ? at(tree.folds, item.fold).nodes : [item.node];
        for (const node of nodes) itemOf[node] = items.length;
        items.push({ node: at(nodes, 0), fold: item.fold, column, x: left, y: top });
      }
    });
  };
  visit(at(levels.levels, 0), [0, 0], null);
  const root = boxes.of(-1);
  const edges = shownEdges(input, itemOf, levels, boxes, origins, new ItemGrid(items));
  const { ranks, orders } = walkOrder(items, edges);
  return { items, itemOf, frames, edges, ranks, orders, ...names, columnCount: root.columnCount, width: root.width, height: root.height, top: root.top };
}

function shownEdges(input: Edges, itemOf: readonly number[], levels: Levels, boxes: Boxes, origins: ReadonlyMap<number, Point>, grid: ItemGrid): ShownEdge[] {
  const byEnds = new Map<string, { from: number; to: number; edges: number[] }>();
  for (let edge = 0; edge < input.from.length; edge += 1) {
    const [from, to] = [at(itemOf, at(input.from, edge)), at(itemOf, at(input.to, edge))];
    if (from === to) continue;
    const known = byEnds.get(`${from} ${to}`);
    if (known) known.edges.push(edge);
    else byEnds.set(`${from} ${to}`, { from, to, edges: [edge] });
  }
  return [...byEnds.values()].map(({ from, to, edges }): ShownEdge => {
    const way = levels.wayOf(at(edges, 0)).filter(({ level }) => origins.has(level));
    const pieces = way.map(({ level, edge }) => {
      const [x, y] = origins.get(level) ?? [0, 0];
      const { kind, points } = at(boxes.of(level).routes, edge);
      return { kind, points: points.map(([px, py]): Point => [px + x, py + y]) };
    });
    const points = pieces.flatMap((piece) => piece.points);
    const kind = pieces.some((piece) => piece.kind === "skip") ? "skip" : pieces.some((piece) => piece.kind === "wrap") ? "wrap" : "flow";
    return { from, to, edges, kind, path: roundedPath(points), label: labelPoint(points, (rect) => grid.isFree(rect)) };
  });
}

/** Ranks of the cards in the graph as it is shown, and the order from left to right in each. */
function walkOrder(items: readonly ShownItem[], edges: readonly ShownEdge[]): Pick<Layout, "ranks" | "orders"> {
  // Cards are listed level by level; edges between them point forward only in the order in which the whole is worked through.
  const order = topologicalOrder(items.length, edges);
  const placeOf = new Array<number>(items.length).fill(0);
  order.forEach((item, i) => (placeOf[item] = i));
  const sorted = { count: items.length, from: edges.map(({ from }) => at(placeOf, from)), to: edges.map(({ to }) => at(placeOf, to)) };
  const bySorted = longestPathRanks(sorted, edges.map(() => true));
  const ranks = items.map((_, item) => at(bySorted, at(placeOf, item)));
  const orders = new Array<number>(items.length).fill(0);
  const byRank = Map.groupBy(items.keys(), (item) => at(ranks, item));
  for (const list of byRank.values()) list.sort((a, b) => at(items, a).x - at(items, b).x).forEach((item, i) => (orders[item] = i));
  return { ranks, orders };
}

function topologicalOrder(count: number, edges: readonly ShownEdge[]): number[] {
  const incoming = new Array<number>(count).fill(0);
  const next: number[][] = Array.from({ length: count }, () => []);
  for (const { from, to } of edges) {
    at(next, from).push(to);
    incoming[to] = at(incoming, to) + 1;
  }
  const order = incoming.flatMap((sources, item) => (sources === 0 ? [item] : []));
  for (let i = 0; i < order.length; i += 1) {
    for (const target of at(next, at(order, i))) {
      incoming[target] = at(incoming, target) - 1;
      if (incoming[target] === 0) order.push(target);
    }
  }
  return order;
}
