/** Columns: a CNN is a long strip; broken into columns it fits a window. */
import { at } from "./network";

/** Half-open range `[start, stop)` of ranks. */
export interface Column {
  start: number;
  stop: number;
}

/** Break `crossings.length` ranks into columns of at most `rows` ranks, where few edges cross.
 *
 * `crossings[r]` is the number of kept edges that pass from rank `r - 1` to rank `r`.
 */
export function breakColumns(crossings: ArrayLike<number>, rows: number): Column[] {
  const columns: Column[] = [];
  const slack = Math.min(12, Math.floor(rows * 0.3));
  let start = 0;
  while (start < crossings.length) {
    let stop = Math.min(start + rows, crossings.length);
    if (stop < crossings.length) {
      const farthest = stop;
      for (let candidate = farthest - 1; candidate >= farthest - slack && candidate > start; candidate -= 1) {
        if (at(crossings, candidate) < at(crossings, stop)) stop = candidate;
      }
    }
    columns.push({ start, stop });
    start = stop;
  }
  return columns;
}

/** Try column heights and return the columns that fit the window at the largest zoom; of near equals the fewest columns.
 *
 * `widthOf` gives the width of all columns side by side.
 */
export function chooseColumns(
  crossings: ArrayLike<number>,
  rowHeight: number,
  widthOf: (columns: readonly Column[]) => number,
  window: { width: number; height: number },
): Column[] {
  let best: Column[] = [];
  let bestZoom = 0;
  const most = Math.min(80, crossings.length);
  for (let count = 1; count <= most; count += 1) {
    const columns = breakColumns(crossings, Math.ceil(crossings.length / count));
    const rows = columns.reduce((top, column) => Math.max(top, column.stop - column.start), 0);
    const zoom = Math.min(1, window.width / widthOf(columns), window.height / (rows * rowHeight));
    if (zoom > bestZoom * 1.06) {
      best = columns;
      bestZoom = zoom;
    }
    if (bestZoom >= 1) break;
  }
  return best;
}
