/** The space right of each column, where edges run up and down in lanes of their own. */
import { at } from "./network";

/** A vertical piece of an edge, or of a bundle of edges with the same key. Heights count ranks, not pixels: lanes then stay as they are when a rank grows. */
export interface Lane {
  gutter: number;
  low: number;
  high: number;
  lane: number;
}

const FIRST = 16;
const STEP = 9;
const LAST = 18;

export class Gutters {
  private readonly lanes: Lane[][];
  private readonly byKey = new Map<string, Lane>();
  private readonly counts: number[];

  constructor(columns: number) {
    this.lanes = Array.from({ length: columns }, () => []);
    this.counts = new Array<number>(columns).fill(0);
  }

  /** Ask for a vertical piece from `a` to `b`; pieces with the same key share one lane. */
  ask(gutter: number, a: number, b: number, key?: string): Lane {
    const [low, high] = a < b ? [a, b] : [b, a];
    const known = key === undefined ? undefined : this.byKey.get(`${gutter} ${key}`);
    if (known) {
      known.low = Math.min(known.low, low);
      known.high = Math.max(known.high, high);
      return known;
    }
    const lane: Lane = { gutter, low, high, lane: 0 };
    at(this.lanes, gutter).push(lane);
    if (key !== undefined) this.byKey.set(`${gutter} ${key}`, lane);
    return lane;
  }

  /** Give each piece the first lane that is free over its whole length; short pieces stand nearest to the cards. */
  assign(): void {
    this.lanes.forEach((list, gutter) => {
      const taken: Lane[][] = [];
      for (const piece of list.toSorted((a, b) => a.high - a.low - (b.high - b.low) || a.low - b.low)) {
        const free = taken.findIndex((others) => others.every((other) => other.high < piece.low || piece.high < other.low));
        piece.lane = free >= 0 ? free : taken.length;
        if (free >= 0) at(taken, free).push(piece);
        else taken.push([piece]);
      }
      this.counts[gutter] = taken.length;
    });
  }

  offset(lane: Lane): number {
    return FIRST + lane.lane * STEP;
  }

  /** The width right of a column's cards; the last one leads nowhere and needs none when it is empty. */
  width(gutter: number, last: boolean): number {
    const count = at(this.counts, gutter);
    if (last && count === 0) return 0;
    return FIRST + Math.max(count - 1, 0) * STEP + (last ? 8 : LAST + 8);
  }
}
