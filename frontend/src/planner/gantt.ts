/** The first frames of a plan as rows of bars. Pure. */
import type { Bar, Gantt } from "./types";

export interface GanttBar {
  x: number;
  width: number;
  bar: Bar;
}

export interface GanttRow {
  resource: string;
  bars: readonly GanttBar[];
}

export interface GanttPlot {
  rows: readonly GanttRow[];
  /** Until the last bar ends. */
  seconds: number;
}

/** One row a resource, in the order in which a frame meets them. */
export function plotGantt({ bars }: Pick<Gantt, "bars">, width: number): GanttPlot {
  const seconds = bars.reduce((last, { end_s }) => Math.max(last, end_s), 0);
  const scale = seconds > 0 ? width / seconds : 0;
  const place = (bar: Bar): GanttBar => ({ bar, x: bar.begin_s * scale, width: Math.max((bar.end_s - bar.begin_s) * scale, 0.5) });
  const rows = [...Map.groupBy([...bars].sort((a, b) => a.begin_s - b.begin_s), ({ resource }) => resource)];
  return { rows: rows.map(([resource, own]) => ({ resource, bars: own.map(place) })), seconds };
}
