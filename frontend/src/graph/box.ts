/** One level laid out: where its items stand in their columns, and how its edges run between them. */
import { Gutters, type Lane } from "./gutters";
import type { Level } from "./level";
import { at } from "./network";
import type { Point } from "./path";
import { spread, type Slot } from "./rank";
import type { Column } from "./wrap";

export const CARD_WIDTH = 184;
export const CARD_HEIGHT = 46;
export const ROW_GAP = 20;
export const SIBLING_GAP = 22;
/** Around what an open fold holds. Room for it is kept beside closed ones too, so that opening one moves nothing sideways. */
export const BOX_PAD = 10;
/** From a fold's upper edge to its first row: its title stands there. */
export const BOX_HEAD = 30;
export const BOX_FOOT = 14;
const SIDE_OFFSET = 9;
/** Where edges to a distant column run, above all cards. */
const CORRIDOR = -ROW_GAP - 6;
const CORRIDOR_STEP = 6;

/** What a level must know of an item: its size, and where edges come in and go out, from its left edge. */
export interface Size {
  width: number;
  height: number;
  inX: number;
  outX: number;
  /** Edges may end at its sides: a card's do, those of an open fold enter by its ports. */
  isCard: boolean;
}

export const CARD: Size = { width: CARD_WIDTH, height: CARD_HEIGHT, inX: CARD_WIDTH / 2, outX: CARD_WIDTH / 2, isCard: true };
const PORT: Size = { width: 0, height: 0, inX: 0, outX: 0, isCard: false };

export type EdgeKind = "flow" | "wrap" | "skip";

export interface Box extends Size {
  /** Left upper corners, by item, from the box's own. */
  positions: Point[];
  /** By edge of the level. */
  routes: { kind: EdgeKind; points: Point[] }[];
  columnCount: number;
  /** By item. */
  columnOf: number[];
  /** How far edges run above the first row, where there is no head for them (negative). */
  top: number;
}

/** A slot's place after wrapping. */
interface Placed {
  slot: Slot;
  size: Size | null;
  column: number;
  x: number;
  top: number;
  rowBottom: number;
  first: boolean;
  last: boolean;
}

interface Geometry {
  x: (placed: Placed) => number;
  lane: (lane: Lane) => number;
}

interface Route {
  kind: EdgeKind;
  points: (geometry: Geometry) => Point[];
}

/** Lay a level out with items of these sizes, in these columns. `reserve` is how far folds in it would reach out to the left. */
export function layoutLevel(level: Level, sizeOf: (place: number) => Size, columns: readonly Column[], reserve: number): Box {
  const { edges, kept, ranked } = level;
  const hasPorts = level.fold >= 0;
  const lastPlace = level.items.length - 1;
  const sizes = level.items.map((_, place) => (hasPorts && (place === 0 || place === lastPlace) ? PORT : sizeOf(place)));
  ranked.slots.forEach((slot, place) => {
    const { width, inX } = at(sizes, place);
    slot.left = inX;
    slot.right = width - inX;
  });
  for (const { start, stop } of columns) spread(ranked.ranks.slice(start, stop), SIBLING_GAP);

  const columnOf = new Map<Slot, number>();
  columns.forEach(({ start, stop }, column) => ranked.ranks.slice(start, stop).forEach((slots) => slots.forEach((slot) => columnOf.set(slot, column))));
  const columnOfPlace = (place: number) => columnOf.get(at(ranked.slots, place)) ?? 0;
  const far = kept.some((keep, edge) => !keep && columnOfPlace(at(edges.to, edge)) > columnOfPlace(at(edges.from, edge)) + 1);
  const head = hasPorts ? BOX_HEAD + (far ? -CORRIDOR + 2 * CORRIDOR_STEP : columns.length > 1 ? 4 : 0) : 0;
  const rows = rowsOf(ranked.ranks, sizes, columns, head, hasPorts);
  const height = hasPorts ? rows.bottom + BOX_FOOT : rows.bottom;
  if (hasPorts) rows.tops[ranked.ranks.length - 1] = height;

  const spans = columns.map((column) => spanOf(ranked.ranks, column, reserve));
  const placed = place(ranked.ranks, sizes, columnOf, spans, rows);
  const of = (slot: Slot): Placed => {
    const found = placed.get(slot);
    if (!found) throw new Error("slot without a place");
    return found;
  };
  const gutters = new Gutters(columns.length);
  const ofPlace = (index: number) => of(at(ranked.slots, index));
  const flows = Array.from({ length: edges.from.length }, (_, edge) => (kept[edge] ? flow(at(ranked.chains, edge).map(of), gutters) : null));
  const skips = skipEdges(level, ofPlace, gutters, head);
  gutters.assign();

  const left: number[] = [];
  let x = hasPorts ? BOX_PAD : 0;
  spans.forEach((span, column) => {
    left.push(x);
    x += span.width + gutters.width(column, column === columns.length - 1);
  });
  const width = x + (hasPorts ? BOX_PAD : 0);
  const geometry: Geometry = {
    x: (one) => at(left, one.column) + one.x,
    lane: (lane) => at(left, lane.gutter) + at(spans, lane.gutter).width + gutters.offset(lane),
  };
  const xOf = (index: number) => geometry.x(ofPlace(index));
  return {
    width,
    height,
    inX: hasPorts ? xOf(0) : 0,
    outX: hasPorts ? xOf(lastPlace) : 0,
    isCard: false,
    positions: level.items.map((_, index): Point => [xOf(index) - at(sizes, index).inX, ofPlace(index).top]),
    routes: flows.map((flowRoute, edge) => {
      const made = flowRoute ?? at(skips, edge);
      if (!made) throw new Error("edge without a route");
      return { kind: made.kind, points: made.points(geometry) };
    }),
    columnCount: columns.length,
    columnOf: level.items.map((_, index) => columnOfPlace(index)),
    top: hasPorts ? 0 : far ? CORRIDOR - 3 * CORRIDOR_STEP : columns.length > 1 ? -ROW_GAP / 2 : 0,
  };
}

interface Rows {
  tops: number[];
  bottoms: number[];
  /** Of the highest column. */
  bottom: number;
}

function rowsOf(ranks: readonly Slot[][], sizes: readonly Size[], columns: readonly Column[], head: number, hasPorts: boolean): Rows {
  const tops: number[] = [];
  const bottoms: number[] = [];
  let bottom = 0;
  for (const { start, stop } of columns) {
    let y = head;
    for (let rank = start; rank < stop; rank += 1) {
      if (hasPorts && rank === 0) {
        tops.push(0);
        bottoms.push(head - ROW_GAP);
        continue;
      }
      const height = heightOfRank(at(ranks, rank), sizes);
      tops.push(y);
      bottoms.push(y + height);
      if (!hasPorts || rank < ranks.length - 1) bottom = Math.max(bottom, y + height);
      y += height + ROW_GAP;
    }
  }
  return { tops, bottoms, bottom };
}

function heightOfRank(slots: readonly Slot[], sizes: readonly Pick<Size, "height">[]): number {
  return slots.reduce((most, { node }) => (node < 0 ? most : Math.max(most, at(sizes, node).height)), 0);
}

interface Span {
  left: number;
  width: number;
}

function spanOf(ranks: readonly Slot[][], { start, stop }: Column, reserve: number): Span {
  let left = -CARD_WIDTH / 2 - reserve;
  let right = -Infinity;
  for (let rank = start; rank < stop; rank += 1) {
    for (const slot of at(ranks, rank)) {
      left = Math.min(left, slot.x - slot.left - (slot.left === CARD_WIDTH / 2 ? reserve : 0));
      right = Math.max(right, slot.x + slot.right);
    }
  }
  return { left, width: Math.max(right - left, CARD_WIDTH) };
}

function place(ranks: readonly Slot[][], sizes: readonly Size[], columnOf: ReadonlyMap<Slot, number>, spans: readonly Span[], rows: Rows): Map<Slot, Placed> {
  const result = new Map<Slot, Placed>();
  ranks.forEach((slots, rank) => {
    const real = slots.filter((slot) => slot.node >= 0);
    for (const slot of slots) {
      const column = columnOf.get(slot) ?? 0;
      result.set(slot, {
        slot,
        size: slot.node < 0 ? null : at(sizes, slot.node),
        column,
        x: slot.x - at(spans, column).left,
        top: at(rows.tops, rank),
        rowBottom: at(rows.bottoms, rank),
        first: slot === real[0],
        last: slot === real.at(-1),
      });
    }
  });
  return result;
}

const bottomOf = (one: Placed) => one.top + (one.size?.height ?? 0);
const middleOf = (one: Placed) => one.top + CARD_HEIGHT / 2;
const aboveOf = (one: Placed) => one.top - ROW_GAP / 2;
const belowOf = (one: Placed) => one.rowBottom + ROW_GAP / 2;
const outOf = (one: Placed, { x }: Geometry) => x(one) + (one.size ? one.size.outX - one.size.inX : 0);

/** The same heights in ranks. */
const rankAbove = (one: Placed) => 4 * one.slot.rank;
const rankIn = (one: Placed) => 4 * one.slot.rank + 1;
const rankOut = (one: Placed) => 4 * one.slot.rank + 2;
const rankBelow = (one: Placed) => 4 * one.slot.rank + 4;
const RANK_CORRIDOR = -4;

/** An edge that the ranks were made from: straight down, through its bends, by the gutter where the column breaks. */
function flow(chain: readonly Placed[], gutters: Gutters): Route {
  const lanes = chain.map((placed, i) => {
    const next = chain[i + 1];
    return next && next.column !== placed.column ? gutters.ask(placed.column, rankBelow(placed), rankAbove(next)) : null;
  });
  const wraps = lanes.some((lane) => lane !== null);
  const points = (geometry: Geometry): Point[] => {
    const first = at(chain, 0);
    const result: Point[] = [[outOf(first, geometry), bottomOf(first)]];
    for (let i = 1; i < chain.length; i += 1) {
      const [a, b] = [at(chain, i - 1), at(chain, i)];
      const [ax, bx] = [outOf(a, geometry), geometry.x(b)];
      const lane = lanes[i - 1];
      if (lane) {
        const lx = geometry.lane(lane);
        result.push([ax, belowOf(a)], [lx, belowOf(a)], [lx, aboveOf(b)], [bx, aboveOf(b)]);
      } else if (Math.abs(ax - bx) > 0.5) {
        result.push([ax, aboveOf(b)], [bx, aboveOf(b)]);
      }
      if (i === chain.length - 1) result.push([bx, b.top]);
    }
    return result;
  };
  return { kind: wraps ? "wrap" : "flow", points };
}

/** Edges that the reduction removed: side arcs in the gutter; many into one item, or out of one, share a lane. */
function skipEdges({ edges, kept }: Level, of: (place: number) => Placed, gutters: Gutters, head: number): (Route | null)[] {
  const ends = Array.from({ length: edges.from.length }, (_, edge) => (kept[edge] ? null : ([of(at(edges.from, edge)), of(at(edges.to, edge))] as const)));
  const into = new Map<number, number>();
  ends.forEach((pair, edge) => {
    if (pair && pair[0].column === pair[1].column) into.set(at(edges.to, edge), (into.get(at(edges.to, edge)) ?? 0) + 1);
  });
  return ends.map((pair, edge) => {
    if (!pair) return null;
    const [source, target] = pair;
    const from = at(edges.from, edge);
    const to = at(edges.to, edge);
    const [outAside, startY] = atSide(source, source.last) ? [true, middleOf(source) + SIDE_OFFSET] : [false, belowOf(source)];
    const key = (into.get(to) ?? 0) > 1 ? `to ${to}` : `from ${from}`;
    const side = source.column === target.column ? "right" : "left";
    const inAside = atSide(target, side === "right" ? target.last : target.first);
    const endY = inAside ? middleOf(target) - SIDE_OFFSET : aboveOf(target);
    const start = outAside ? rankOut(source) : rankBelow(source);
    const end = inAside ? rankIn(target) : rankAbove(target);
    if (target.column <= source.column + 1) {
      const lane = gutters.ask(source.column, start, end, key);
      return skip((g) => [...leave(source, g, outAside), [g.lane(lane), startY], [g.lane(lane), endY], ...enter(target, g, side, inAside)]);
    }
    const corridor = head + CORRIDOR - CORRIDOR_STEP * (from % 4);
    const out = gutters.ask(source.column, start, RANK_CORRIDOR, `out ${from}`);
    const back = gutters.ask(target.column - 1, RANK_CORRIDOR, end, `in ${to}`);
    return skip((g) => [
      ...leave(source, g, outAside),
      [g.lane(out), startY],
      [g.lane(out), corridor],
      [g.lane(back), corridor],
      [g.lane(back), endY],
      ...enter(target, g, side, inAside),
    ]);
  });
}

const skip = (points: (geometry: Geometry) => Point[]): Route => ({ kind: "skip", points });

const atSide = (one: Placed, outermost: boolean): boolean => outermost && one.size?.isCard === true;

function leave(one: Placed, geometry: Geometry, aside: boolean): Point[] {
  const x = outOf(one, geometry);
  if (aside) return [[x + CARD_WIDTH / 2, middleOf(one) + SIDE_OFFSET]];
  const near = one.size?.isCard === true ? x + CARD_WIDTH / 4 : x;
  return [[near, bottomOf(one)], [near, belowOf(one)]];
}

function enter(one: Placed, { x }: Geometry, side: "left" | "right", aside: boolean): Point[] {
  const sign = side === "right" ? 1 : -1;
  if (aside) return [[x(one) + (sign * CARD_WIDTH) / 2, middleOf(one) - SIDE_OFFSET]];
  const near = one.size?.isCard === true ? x(one) + (sign * CARD_WIDTH) / 4 : x(one);
  return [[near, aboveOf(one)], [near, one.top]];
}
