/** What of a layout lies in a part of it, found without looking at all of it: it is asked for in each frame in which the view moves. */
import { CARD_HEIGHT, CARD_WIDTH } from "./box";
import type { Rect } from "./hit";
import type { Layout } from "./layout";
import { at } from "./network";

/** Indices, ascending. */
export interface Seen {
  items: readonly number[];
  frames: readonly number[];
  edges: readonly number[];
}

const CELL = 256;
const ROWS = 1 << 20;

/** What lies in each cell of a grid, by index. */
class Cells {
  private readonly lists = new Map<number, number[]>();

  add(index: number, { x, y, width, height }: Rect): void {
    for (let column = cellOf(x); column <= cellOf(x + width); column += 1) {
      for (let row = cellOf(y); row <= cellOf(y + height); row += 1) {
        const list = this.lists.get(column * ROWS + row);
        if (!list) this.lists.set(column * ROWS + row, [index]);
        else if (list.at(-1) !== index) list.push(index);
      }
    }
  }

  within({ x, y, width, height }: Rect): Set<number> {
    const found = new Set<number>();
    for (let column = cellOf(x); column <= cellOf(x + width); column += 1) {
      for (let row = cellOf(y); row <= cellOf(y + height); row += 1) {
        for (const index of this.lists.get(column * ROWS + row) ?? []) found.add(index);
      }
    }
    return found;
  }
}

const cellOf = (place: number): number => Math.floor(place / CELL);

const overlaps = (a: Rect, b: Rect): boolean => a.x < b.x + b.width && b.x < a.x + a.width && a.y < b.y + b.height && b.y < a.y + a.height;

/** The straight pieces of an edge's path, each as the rectangle that it spans. */
function* piecesOf(path: string): Generator<Rect> {
  const numbers = (path.match(/-?\d+(\.\d+)?/g) ?? []).map(Number);
  for (let i = 2; i + 1 < numbers.length; i += 2) {
    const [x0, y0, x1, y1] = [at(numbers, i - 2), at(numbers, i - 1), at(numbers, i), at(numbers, i + 1)];
    yield { x: Math.min(x0, x1), y: Math.min(y0, y1), width: Math.abs(x1 - x0), height: Math.abs(y1 - y0) };
  }
}

const same = (a: readonly number[], b: readonly number[]): boolean => a.length === b.length && a.every((index, i) => index === b[i]);

export class InView {
  private readonly items = new Cells();
  private readonly edges = new Cells();
  private asked: Rect | null = null;
  private last: Seen = { items: [], frames: [], edges: [] };

  constructor(private readonly layout: Pick<Layout, "items" | "frames" | "edges">) {
    layout.items.forEach(({ x, y }, index) => this.items.add(index, { x, y, width: CARD_WIDTH, height: CARD_HEIGHT }));
    layout.edges.forEach(({ path }, index) => {
      for (const piece of piecesOf(path)) this.edges.add(index, piece);
    });
  }

  /** Cards and frames that overlap a rectangle, and edges that come near it; the same object as long as they are the same. */
  within(rect: Rect): Seen {
    const { asked } = this;
    if (asked && asked.x === rect.x && asked.y === rect.y && asked.width === rect.width && asked.height === rect.height) return this.last;
    this.asked = rect;
    const seen = {
      items: ascending([...this.items.within(rect)].filter((index) => overlaps({ ...at(this.layout.items, index), width: CARD_WIDTH, height: CARD_HEIGHT }, rect))),
      frames: this.layout.frames.flatMap((frame, index) => (overlaps(frame, rect) ? [index] : [])),
      edges: ascending([...this.edges.within(rect)]),
    };
    const { last } = this;
    if (!same(last.items, seen.items) || !same(last.frames, seen.frames) || !same(last.edges, seen.edges)) this.last = seen;
    return this.last;
  }
}

const ascending = (numbers: number[]): number[] => numbers.sort((a, b) => a - b);
