/** A profile as rows to be sorted. Pure. */
import type { Profile, ProfileSummary } from "@/api/types";
import { formatDuration, plural } from "@/app/format";
import { providerWords } from "@/devices/checkGroups";

export interface LayerRow {
  layer: string;
  /** Place in the network. */
  place: number;
  aloneS: number;
  spreadS: number;
  runs: number;
  weightBytes: number;
  outputBytes: number;
  energyJ: number | null;
  /** The kernel that the layer runs in; null when it runs in none of its own (folded away). */
  fused: { seconds: number; layers: readonly string[] } | null;
}

export type SortBy = "time" | "place" | "weight" | "output" | "energy";

export function layerRows(profile: Pick<Profile, "layers" | "kernels">): LayerRow[] {
  const kernels = new Map(profile.kernels.flatMap((kernel) => kernel.layers.map((layer) => [layer, kernel] as const)));
  return profile.layers.map((layer, place) => {
    const kernel = kernels.get(layer.layer);
    return {
      layer: layer.layer, place, aloneS: layer.median_s, spreadS: layer.spread_s, runs: layer.runs, weightBytes: layer.weight_bytes, outputBytes: layer.output_bytes,
      energyJ: layer.energy_j, fused: kernel ? { seconds: kernel.median_s, layers: kernel.layers } : null,
    };
  });
}

const KEYS: Record<SortBy, (row: LayerRow) => number> = {
  time: (row) => -row.aloneS,
  place: (row) => row.place,
  weight: (row) => -row.weightBytes,
  output: (row) => -row.outputBytes,
  energy: (row) => -(row.energyJ ?? -1),
};

export const sorted = (rows: readonly LayerRow[], by: SortBy): LayerRow[] => [...rows].sort((a, b) => KEYS[by](a) - KEYS[by](b) || a.place - b.place);

/** `onnxruntime 1.31 · CPU · 1 thread` */
export function describeConditions({ onnxruntime, threads, provider }: Pick<ProfileSummary, "onnxruntime" | "threads" | "provider">): string {
  return `onnxruntime ${onnxruntime} · ${providerWords(provider)} · ${plural(threads, "thread")}`;
}

export const withSpread = (median: number, spread: number): string => `${formatDuration(median)} ± ${formatDuration(spread / 2)}`;

/** `+9 %`: how far the measured time is from the predicted one; null where one of them is absent. */
export function describeError(predicted: number | null, measured: number | null): string | null {
  if (predicted === null || measured === null || predicted <= 0) return null;
  const share = Math.round(((measured - predicted) / predicted) * 100);
  return `${share > 0 ? "+" : share < 0 ? "−" : "±"}${Math.abs(share)}\u202f%`;
}
