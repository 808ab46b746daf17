/** Columns: a CNN is a long strip; broken into columns it fits a window. */
import { at } from "./network";

/** Half-open range `[start, stop)` of ranks. */
export interface Column {
  start: number;
  stop: number;
}

/** What the columns are made of: heights of the ranks, and how many kept edges pass from each rank's predecessor to it. */
export interface Strip {
  heights: ArrayLike<number>;
  crossings: ArrayLike<number>;
  gap: number;
}

/** Break ranks into columns that are at most so high, where few edges cross. A rank that is higher has a column of its own. */
export function breakColumns({ heights, crossings, gap }: Strip, height: number): Column[] {
  const columns: Column[] = [];
  let start = 0;
  while (start < heights.length) {
    let stop = start + 1;
    for (let total = at(heights, start); stop < heights.length; stop += 1) {
      total += gap + at(heights, stop);
      if (total > height) break;
    }
    if (stop < heights.length) {
      const farthest = stop;
      const slack = Math.min(12, Math.floor((stop - start) * 0.3));
      for (let candidate = farthest - 1; candidate >= farthest - slack && candidate > start; candidate -= 1) {
        if (at(crossings, candidate) < at(crossings, stop)) stop = candidate;
      }
    }
    columns.push({ start, stop });
    start = stop;
  }
  return columns;
}

/** The same with no more columns, but as even as they come. */
export function breakEvenly(strip: Strip, height: number): Column[] {
  let best = breakColumns(strip, height);
  if (best.length < 2) return best;
  let [low, high] = [height / 2, height];
  for (let i = 0; i < 7; i += 1) {
    const middle = (low + high) / 2;
    const columns = breakColumns(strip, middle);
    if (columns.length <= best.length) {
      best = columns;
      high = middle;
    } else low = middle;
  }
  return best;
}

/** The height of the highest column. */
export function heightOf({ heights, gap }: Strip, columns: readonly Column[]): number {
  let most = 0;
  for (const { start, stop } of columns) {
    let total = -gap;
    for (let rank = start; rank < stop; rank += 1) total += gap + at(heights, rank);
    most = Math.max(most, total);
  }
  return most;
}
