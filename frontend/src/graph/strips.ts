/** How high columns are to be, so that the whole fits the window at the largest zoom. Sizes are reckoned here, not laid out. */
import { BOX_FOOT, BOX_HEAD, BOX_PAD, CARD_HEIGHT, CARD_WIDTH, ROW_GAP, SIBLING_GAP } from "./box";
import { withHolders, type FoldTree } from "./folds";
import type { Level, Levels } from "./level";
import { at } from "./network";
import { breakColumns, breakEvenly, heightOf, type Column, type Strip } from "./wrap";

const COARSE = 0.8;
const FINE_STEPS = 6;
const SMALLEST_ZOOM = 0.02;
/** Between columns, about: how many lanes edges need there is known only later. */
const GUTTER = 48;
/** Right of the last column, where edges skip along it. */
const LAST_GUTTER = 24;
/** A block no higher than this is one column, whatever the window. */
const LEAST_HEIGHT = 10 * (CARD_HEIGHT + ROW_GAP);

export interface ColumnPlan {
  /** The zoom at which all of it fits the window, about. */
  zoom: number;
  /** By fold, -1 for the top. */
  columns: (fold: number) => Column[];
}

type IsOpen = (fold: number) => boolean;

/** A level as rows; ports are no rows. Sizes are those with all of its folds closed. */
interface Rows {
  heights: Float64Array;
  widths: Float64Array;
  crossings: Int32Array;
  folds: readonly { fold: number; row: number }[];
  lastGutter: number;
}

interface Extent {
  width: number;
  height: number;
}

export class Strips {
  private readonly rows: Rows[];
  private readonly reserves: number[];

  constructor(
    private readonly levels: Levels,
    private readonly tree: FoldTree,
  ) {
    this.rows = levels.levels.map(rowsOf);
    this.reserves = reservesOf(tree);
  }

  plan(isOpen: IsOpen, window: { width: number; height: number }): ColumnPlan {
    const fits = (zoom: number) => {
      const height = window.height / zoom;
      const extent = this.extent(-1, isOpen, height);
      return extent.width * zoom <= window.width && extent.height <= height;
    };
    let zoom = 1;
    while (!fits(zoom) && zoom > SMALLEST_ZOOM) zoom *= COARSE;
    if (zoom < 1) {
      const fine = COARSE ** (1 / FINE_STEPS);
      const candidates = Array.from({ length: FINE_STEPS - 1 }, (_, i) => (zoom / COARSE) * fine ** (i + 1));
      zoom = candidates.find(fits) ?? zoom;
    }
    return { zoom, columns: (fold) => this.columns(fold, isOpen, window.height / zoom) };
  }

  /** How high the columns of a fold in a column of this height may be. */
  private within(height: number): number {
    return Math.max(height - BOX_HEAD - BOX_FOOT, LEAST_HEIGHT);
  }

  private strip(fold: number, isOpen: IsOpen, height: number): Strip & { widths: ArrayLike<number> } {
    const { heights, widths, crossings, folds } = at(this.rows, fold + 1);
    const opened = folds.filter((one) => isOpen(one.fold));
    if (opened.length === 0) return { heights, widths, crossings, gap: ROW_GAP };
    const [high, wide] = [heights.slice(), widths.slice()];
    for (const one of opened) {
      const extent = this.extent(one.fold, isOpen, this.within(height));
      high[one.row] = Math.max(at(high, one.row), extent.height);
      wide[one.row] = at(wide, one.row) + extent.width - CARD_WIDTH;
    }
    return { heights: high, widths: wide, crossings, gap: ROW_GAP };
  }

  private extent(fold: number, isOpen: IsOpen, height: number): Extent {
    const strip = this.strip(fold, isOpen, height);
    const columns = breakColumns(strip, height);
    const reserve = at(this.reserves, fold + 1);
    let width = (columns.length - 1) * GUTTER + columns.length * reserve + at(this.rows, fold + 1).lastGutter;
    for (const { start, stop } of columns) {
      let widest = CARD_WIDTH;
      for (let row = start; row < stop; row += 1) widest = Math.max(widest, at(strip.widths, row));
      width += widest;
    }
    const high = heightOf(strip, columns);
    return fold < 0 ? { width, height: high } : { width: width + 2 * BOX_PAD, height: high + BOX_HEAD + BOX_FOOT };
  }

  private columns(fold: number, isOpen: IsOpen, height: number): Column[] {
    const available = fold < 0 ? height : withHolders(this.tree, fold).reduce((room) => this.within(room), height);
    const columns = breakEvenly(this.strip(fold, isOpen, available), available);
    if (fold < 0) return columns;
    // The ports stand above and below all others.
    const last = at(this.levels.levels, fold + 1).ranked.ranks.length;
    return columns.map(({ start, stop }, i) => ({ start: i === 0 ? 0 : start + 1, stop: i === columns.length - 1 ? last : stop + 1 }));
  }
}

function rowsOf({ fold, items, kept, ranked }: Level): Rows {
  const ranks = fold >= 0 ? ranked.ranks.slice(1, -1) : ranked.ranks;
  const folds: { fold: number; row: number }[] = [];
  const crossings = new Int32Array(ranks.length);
  const widths = new Float64Array(ranks.length);
  ranks.forEach((slots, row) => {
    let width = SIBLING_GAP * (slots.length - 1);
    for (const slot of slots) {
      crossings[row] = at(crossings, row) + slot.upper.length;
      width += slot.node < 0 ? slot.left + slot.right : CARD_WIDTH;
      const inner = slot.node < 0 ? -1 : at(items, slot.node).fold;
      if (inner >= 0) folds.push({ fold: inner, row });
    }
    widths[row] = width;
  });
  return { heights: new Float64Array(ranks.length).fill(CARD_HEIGHT), widths, crossings, folds, lastGutter: kept.every(Boolean) ? 0 : LAST_GUTTER };
}

/** By fold, plus one: how far the folds in a level would reach out to the left of their card if they were open. */
export function reservesOf({ folds }: Pick<FoldTree, "folds">): number[] {
  const result = new Array<number>(folds.length + 1).fill(0);
  for (const { index, parent } of folds.toReversed()) {
    result[parent + 1] = Math.max(at(result, parent + 1), at(result, index + 1) + BOX_PAD);
  }
  return result;
}
