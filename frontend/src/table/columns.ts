/** The table's columns: how a row is sorted by each, and what it says. Pure. */
import { formatBytes, formatCount, formatDuration, formatShape, formatWhole, withoutBatch } from "@/app/format";
import { cellText } from "@/app/spreadsheet";
import { formatJoules } from "@/power/words";
import type { LayerRow } from "./rows";

export const COLUMN_IDS = ["order", "name", "kind", "block", "shape", "macs", "params", "weights", "bytes", "seconds", "joules", "device", "warning"] as const;
export type ColumnId = (typeof COLUMN_IDS)[number];

type Key = number | string | null;

export interface Column {
  title: string;
  /** What it is, where the title is short. */
  told?: string;
  /** For a grid of columns. */
  width: string;
  isNumber: boolean;
  /** Null where nothing is known. */
  key: (row: LayerRow) => Key;
  /** As shown; null is shown as a dash, never as 0. */
  text: (row: LayerRow) => string | null;
  /** As copied: numbers whole, in the unit of the head. */
  head: string;
}

const words = (title: string, width: string, head: string, key: (row: LayerRow) => string | null): Column => ({ title, width, head, isNumber: false, key, text: key });

const number = (title: string, width: string, head: string, told: string, key: (row: LayerRow) => number | null, format: (value: number) => string): Column => ({
  title, width, head, told, isNumber: true, key,
  text: (row) => {
    const value = key(row);
    return value === null ? null : format(value);
  },
});

export const COLUMNS: Record<ColumnId, Column> = {
  order: number("#", "42px", "order", "Order in the network", ({ order }) => order, formatWhole),
  name: words("Name", "minmax(112px, 1.8fr)", "name", ({ name }) => name),
  kind: words("Kind", "minmax(86px, 1fr)", "kind", ({ kind }) => kind),
  block: words("Block", "minmax(80px, 0.8fr)", "block", ({ blocks }) => blocks[0] ?? null),
  shape: { ...words("Output", "minmax(92px, 0.8fr)", "output shape", ({ shape }) => formatShape(withoutBatch(shape))), told: "Shape of the output", isNumber: true, key: ({ shape }) => shape.reduce((size, length) => size * length, 1) },
  macs: number("MACs", "66px", "MACs", "Multiply-accumulates", ({ macs }) => macs, formatCount),
  params: number("Params", "66px", "parameters", "Parameters", ({ params }) => params, formatCount),
  weights: number("Weights", "74px", "weight bytes", "Bytes of the weights", ({ weights }) => weights, formatBytes),
  bytes: number("Activation", "80px", "activation bytes", "Bytes of the output", ({ bytes }) => bytes, formatBytes),
  seconds: number("Time", "72px", "predicted seconds", "Predicted time on its device", ({ seconds }) => seconds, formatDuration),
  joules: number("Energy", "72px", "predicted joules", "Predicted energy on its device", ({ joules }) => joules, formatJoules),
  device: { ...words("Device", "minmax(100px, 1fr)", "device", ({ devices }) => (devices.length === 0 ? null : devices.join(" + "))), told: "Where it runs" },
  warning: words("Warning", "minmax(110px, 1.2fr)", "warning", ({ warning }) => warning),
};

/** Where a person chose none: all that say something. */
export function usualColumns(rows: readonly LayerRow[]): ColumnId[] {
  const says = (id: ColumnId) => id !== "seconds" && id !== "joules" && id !== "warning" && id !== "block" ? true : rows.some((row) => COLUMNS[id].key(row) !== null);
  return COLUMN_IDS.filter(says);
}

export interface Sort {
  by: ColumnId;
  down: boolean;
}

/** As a link may ask for it; null where there is no such column. */
export function sortOf(asked: { by: string; down: boolean } | null): Sort | null {
  const by = COLUMN_IDS.find((id) => id === asked?.by);
  return asked && by ? { by, down: asked.down } : null;
}

/** Up, down, and as the network has them. Numbers begin with the largest, which is what is looked for. */
export function nextSort(sort: Sort | null, by: ColumnId): Sort | null {
  const first = COLUMNS[by].isNumber && by !== "order";
  if (sort?.by !== by) return { by, down: first };
  return sort.down === first ? { by, down: !first } : null;
}

export const ariaSort = (sort: Sort | null, by: ColumnId): "ascending" | "descending" | "none" => (sort?.by !== by ? "none" : sort.down ? "descending" : "ascending");

const collator = new Intl.Collator("en", { numeric: true, sensitivity: "base" });

/** What is not known comes last, either way; what is equal stays in the order of the network. */
export function sortRows(rows: readonly LayerRow[], sort: Sort | null): readonly LayerRow[] {
  if (!sort) return rows;
  const { key } = COLUMNS[sort.by];
  const keyed = rows.map((row) => ({ row, key: key(row) }));
  keyed.sort((a, b) => {
    if (a.key === null || b.key === null) return a.key === b.key ? a.row.order - b.row.order : a.key === null ? 1 : -1;
    const order = typeof a.key === "number" && typeof b.key === "number" ? a.key - b.key : collator.compare(String(a.key), String(b.key));
    return (sort.down ? -order : order) || a.row.order - b.row.order;
  });
  return keyed.map(({ row }) => row);
}

export function toTsv(rows: readonly LayerRow[], columns: readonly ColumnId[]): string {
  const cell = (row: LayerRow, id: ColumnId): string => {
    const { key, isNumber, text } = COLUMNS[id];
    if (isNumber && id !== "shape") return String(key(row) ?? "");
    return cellText(text(row) ?? "");
  };
  return [columns.map((id) => COLUMNS[id].head), ...rows.map((row) => columns.map((id) => cell(row, id)))].map((cells) => cells.join("\t")).join("\n");
}
