/** Divisions in plain words. */
import type { Sharding } from "@/api/types";
import { formatPercent, plural } from "@/app/format";
import { kindOf, type Division, type SplitKind } from "./divisions";

export const SPLIT_KINDS = ["rows", "columns", "grid", "tiles", "filters", "inputs"] as const satisfies readonly SplitKind[];

export const SPLIT_WORDS: Record<SplitKind, { title: string; badge: string; what: string }> = {
  rows: { title: "Rows of the map", badge: "rows", what: "Each device computes a band of rows, with all weights. Exact." },
  columns: { title: "Columns", badge: "columns", what: "Each device computes a band of columns, with all weights. Exact." },
  grid: { title: "Grid", badge: "grid", what: "Each device computes a tile of rows and columns, with all weights. Exact." },
  tiles: { title: "Independent tiles (approximate)", badge: "tiles", what: "Tiles that know nothing of each other: nothing is exchanged, answers change a little at their borders." },
  filters: { title: "Filters (output channels)", badge: "filters", what: "Each device holds some of the filters and needs the whole input. Exact." },
  inputs: { title: "Input channels", badge: "inputs", what: "Each device takes some of the input channels; the partial sums are added. Exact." },
};

export const badgeOf = ({ kind, parts }: Division): string => `${SPLIT_WORDS[kind].badge} ×${parts.length}`;

/** "Rows of the map: board-1 67 %, board-2 33 %". */
export function describeDivision({ kind, parts }: Division): string {
  return `${SPLIT_WORDS[kind].title}: ${parts.map(({ place, share }) => `${place} ${formatPercent(share)}`).join(", ")}`;
}

/** Layers in a sentence: "conv1", "conv1 and relu1", "conv1, relu1 and 3 more". */
export function listLayers(layers: readonly string[]): string {
  const [first = "", second = ""] = layers;
  if (layers.length <= 1) return first;
  return layers.length === 2 ? `${first} and ${second}` : `${first}, ${second} and ${layers.length - 2} more`;
}

/** What to say when shardings went because their layers were sent to a device. */
export function describeTakenAway(shardings: readonly Sharding[], device: string | null): string {
  const layers = [...new Set(shardings.flatMap(({ layers: names }) => names))];
  const kinds = [...new Set(shardings.map((sharding) => SPLIT_WORDS[kindOf(sharding)].badge))].join(", ");
  const where = device === null ? "on no device" : `on ${device}`;
  const those = layers.length === 1 ? `${listLayers(layers)} is` : `${listLayers(layers)} are`;
  return `${plural(shardings.length, "division")} (${kinds}) taken away: ${those} whole again, ${where}. Undo brings it back.`;
}
