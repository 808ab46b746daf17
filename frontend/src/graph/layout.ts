/** The layout: transitive reduction, longest-path ranks, order in the rank, columns that wrap, edges routed between.
 *
 * Pure and deterministic; it runs in a worker. Positions are in canvas units at zoom 1.
 */
import { at } from "./network";
import { labelPoint, roundedPath, type Point } from "./path";
import { arrange, BEND_WIDTH, type Ranked, type Slot } from "./rank";
import { reduceEdges, type Edges } from "./reduce";
import { Gutters, type Lane } from "./gutters";
import { breakColumns, chooseColumns, type Column } from "./wrap";

export const CARD_WIDTH = 184;
export const CARD_HEIGHT = 46;
export const ROW_GAP = 20;
export const ROW_PITCH = CARD_HEIGHT + ROW_GAP;
const SIBLING_GAP = 22;
const SIDE_OFFSET = 9;
/** Where edges to a distant column run, above all cards. */
const CORRIDOR = -ROW_GAP - 6;
const CORRIDOR_STEP = 6;

export interface LayoutInput extends Edges {
  window: { width: number; height: number };
}

export type EdgeKind = "flow" | "wrap" | "skip";

export interface EdgeRoute {
  kind: EdgeKind;
  path: string;
  label: Point;
}

export interface Layout {
  /** Left upper corners, by node. */
  positions: Point[];
  /** By node: the rank, and the place in it from the left; what the arrow keys walk along. */
  ranks: number[];
  orders: number[];
  edges: EdgeRoute[];
  columnCount: number;
  width: number;
  height: number;
  /** How far edges run above the first row (negative). */
  top: number;
}

/** A slot's place after wrapping. */
interface Placed {
  column: number;
  row: number;
  x: number;
  width: number;
  first: boolean;
  last: boolean;
}

/** Lay out a graph whose nodes are numbered in topological order. */
export function layoutGraph(input: LayoutInput): Layout {
  if (input.count === 0) return { positions: [], ranks: [], orders: [], edges: [], columnCount: 0, width: 0, height: 0, top: 0 };
  const kept = reduceEdges(input);
  const ranked = arrange(input, kept, CARD_WIDTH, SIBLING_GAP);
  const extents = ranked.ranks.map(extent);
  const widthOf = (columns: readonly Column[]) =>
    columns.reduce((sum, column) => sum + spanOf(extents, column).width + 56, 0);
  const columns = chooseColumns(crossings(ranked), ROW_PITCH, widthOf, input.window);
  return route(input, kept, ranked, columns.length > 0 ? columns : breakColumns(crossings(ranked), ranked.ranks.length));
}

function route(input: LayoutInput, kept: readonly boolean[], ranked: Ranked, columns: readonly Column[]): Layout {
  const extents = ranked.ranks.map(extent);
  const spans = columns.map((column) => spanOf(extents, column));
  const place = placeSlots(ranked, columns, spans);
  const of = (slot: Slot): Placed => {
    const placed = place.get(slot);
    if (!placed) throw new Error("slot without a place");
    return placed;
  };
  const gutters = new Gutters(columns.length);
  const routes = Array.from({ length: input.from.length }, (_, edge) => {
    if (kept[edge]) return flow(at(ranked.chains, edge).map(of), gutters);
    return null;
  });
  const skips = skipEdges(input, kept, ranked, of, gutters);
  gutters.assign();
  const columnOf = (node: number) => of(at(ranked.slots, node)).column;
  const far = kept.some((keep, edge) => !keep && columnOf(at(input.to, edge)) > columnOf(at(input.from, edge)) + 1);

  const left: number[] = [];
  let x = 0;
  spans.forEach((span, column) => {
    left.push(x);
    x += span.width + gutters.width(column);
  });
  const geometry: Geometry = {
    x: (placed) => at(left, placed.column) + placed.x,
    lane: (lane) => at(left, lane.gutter) + at(spans, lane.gutter).width + gutters.offset(lane),
  };
  const rows = columns.reduce((most, column) => Math.max(most, column.stop - column.start), 0);
  const orders = new Array<number>(input.count).fill(0);
  for (const rank of ranked.ranks) rank.filter((slot) => slot.node >= 0).forEach((slot, order) => (orders[slot.node] = order));
  return {
    positions: ranked.slots.map((slot) => [geometry.x(of(slot)) - CARD_WIDTH / 2, of(slot).row * ROW_PITCH] as const),
    ranks: ranked.slots.map((slot) => slot.rank),
    orders,
    edges: routes.map((flowRoute, edge): EdgeRoute => {
      const make = flowRoute ?? at(skips, edge);
      if (!make) throw new Error("edge without a route");
      const points = make.points(geometry);
      return { kind: make.kind, path: roundedPath(points), label: labelPoint(points) };
    }),
    columnCount: columns.length,
    width: x,
    height: rows * ROW_PITCH - ROW_GAP,
    top: far ? CORRIDOR - 3 * CORRIDOR_STEP : columns.length > 1 ? -ROW_GAP / 2 : 0,
  };
}

interface Geometry {
  x: (placed: Placed) => number;
  lane: (lane: Lane) => number;
}

interface Route {
  kind: EdgeKind;
  points: (geometry: Geometry) => Point[];
}

const top = (placed: Placed) => placed.row * ROW_PITCH;
const bottom = (placed: Placed) => top(placed) + CARD_HEIGHT;
const middle = (placed: Placed) => top(placed) + CARD_HEIGHT / 2;
const above = (placed: Placed) => top(placed) - ROW_GAP / 2;
const below = (placed: Placed) => bottom(placed) + ROW_GAP / 2;

/** An edge that the ranks were made from: straight down, through its bends, by the gutter where the column breaks. */
function flow(chain: readonly Placed[], gutters: Gutters): Route {
  const lanes = chain.map((placed, i) => {
    const next = chain[i + 1];
    return next && next.column !== placed.column ? gutters.ask(placed.column, below(placed), above(next)) : null;
  });
  const wraps = lanes.some((lane) => lane !== null);
  const points = (geometry: Geometry): Point[] => {
    const first = at(chain, 0);
    const result: Point[] = [[geometry.x(first), bottom(first)]];
    for (let i = 1; i < chain.length; i += 1) {
      const [a, b] = [at(chain, i - 1), at(chain, i)];
      const [ax, bx] = [geometry.x(a), geometry.x(b)];
      const lane = lanes[i - 1];
      if (lane) {
        const lx = geometry.lane(lane);
        result.push([ax, below(a)], [lx, below(a)], [lx, above(b)], [bx, above(b)]);
      } else if (Math.abs(ax - bx) > 0.5) {
        result.push([ax, above(b)], [bx, above(b)]);
      }
      if (i === chain.length - 1) result.push([bx, top(b)]);
    }
    return result;
  };
  return { kind: wraps ? "wrap" : "flow", points };
}

/** Edges that the reduction removed: side arcs in the gutter; many into one node, or out of one, share a lane. */
function skipEdges(
  input: LayoutInput,
  kept: readonly boolean[],
  ranked: Ranked,
  of: (slot: Slot) => Placed,
  gutters: Gutters,
): (Route | null)[] {
  const ends = Array.from({ length: input.from.length }, (_, edge) =>
    kept[edge] ? null : ([of(at(ranked.slots, at(input.from, edge))), of(at(ranked.slots, at(input.to, edge)))] as const),
  );
  const into = new Map<number, number>();
  ends.forEach((pair, edge) => {
    if (pair && pair[0].column === pair[1].column) into.set(at(input.to, edge), (into.get(at(input.to, edge)) ?? 0) + 1);
  });
  return ends.map((pair, edge) => {
    if (!pair) return null;
    const [source, target] = pair;
    const from = at(input.from, edge);
    const to = at(input.to, edge);
    const startY = source.last ? middle(source) + SIDE_OFFSET : below(source);
    const key = (into.get(to) ?? 0) > 1 ? `to ${to}` : `from ${from}`;
    if (source.column === target.column) {
      const endY = target.last ? middle(target) - SIDE_OFFSET : above(target);
      const lane = gutters.ask(source.column, startY, endY, key);
      return skip((g) => [...leave(source, g), [g.lane(lane), startY], [g.lane(lane), endY], ...enter(target, g, "right")]);
    }
    const endY = target.first ? middle(target) - SIDE_OFFSET : above(target);
    if (target.column === source.column + 1) {
      const lane = gutters.ask(source.column, startY, endY, key);
      return skip((g) => [...leave(source, g), [g.lane(lane), startY], [g.lane(lane), endY], ...enter(target, g, "left")]);
    }
    const corridor = CORRIDOR - CORRIDOR_STEP * (from % 4);
    const out = gutters.ask(source.column, startY, corridor, `out ${from}`);
    const back = gutters.ask(target.column - 1, corridor, endY, `in ${to}`);
    return skip((g) => [
      ...leave(source, g),
      [g.lane(out), startY],
      [g.lane(out), corridor],
      [g.lane(back), corridor],
      [g.lane(back), endY],
      ...enter(target, g, "left"),
    ]);
  });
}

const skip = (points: (geometry: Geometry) => Point[]): Route => ({ kind: "skip", points });

function leave(placed: Placed, { x }: Geometry): Point[] {
  if (placed.last) return [[x(placed) + CARD_WIDTH / 2, middle(placed) + SIDE_OFFSET]];
  const near = x(placed) + CARD_WIDTH / 4;
  return [[near, bottom(placed)], [near, below(placed)]];
}

function enter(placed: Placed, { x }: Geometry, side: "left" | "right"): Point[] {
  if (side === "right" && placed.last) return [[x(placed) + CARD_WIDTH / 2, middle(placed) - SIDE_OFFSET]];
  if (side === "left" && placed.first) return [[x(placed) - CARD_WIDTH / 2, middle(placed) - SIDE_OFFSET]];
  const near = x(placed) + ((side === "right" ? 1 : -1) * CARD_WIDTH) / 4;
  return [[near, above(placed)], [near, top(placed)]];
}

function placeSlots(ranked: Ranked, columns: readonly Column[], spans: readonly Span[]): Map<Slot, Placed> {
  const place = new Map<Slot, Placed>();
  columns.forEach((column, index) => {
    const { left } = at(spans, index);
    for (let rank = column.start; rank < column.stop; rank += 1) {
      const slots = at(ranked.ranks, rank);
      const real = slots.filter((slot) => slot.node >= 0);
      for (const slot of slots) {
        place.set(slot, {
          column: index,
          row: rank - column.start,
          x: slot.x - left,
          width: slot.width,
          first: slot === real[0],
          last: slot === real.at(-1),
        });
      }
    }
  });
  return place;
}

interface Span {
  left: number;
  width: number;
}

function extent(rank: readonly Slot[]): Span {
  const left = rank.reduce((low, slot) => Math.min(low, slot.x - slot.width / 2), Infinity);
  const right = rank.reduce((high, slot) => Math.max(high, slot.x + slot.width / 2), -Infinity);
  return { left, width: right - left };
}

function spanOf(extents: readonly Span[], { start, stop }: Column): Span {
  let left = Infinity;
  let right = -Infinity;
  for (let rank = start; rank < stop; rank += 1) {
    const span = at(extents, rank);
    left = Math.min(left, span.left);
    right = Math.max(right, span.left + span.width);
  }
  return { left, width: Math.max(right - left, BEND_WIDTH) };
}

/** How many kept edges enter each rank from the one above. */
function crossings(ranked: Ranked): Int32Array {
  const counts = new Int32Array(ranked.ranks.length);
  ranked.ranks.forEach((slots, rank) => {
    counts[rank] = slots.reduce((sum, slot) => sum + slot.upper.length, 0);
  });
  return counts;
}
