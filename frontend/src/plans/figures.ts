/** The figures by which plans are compared, and which is best in each. Pure. */
import { formatBytes, formatDuration, plural } from "@/app/format";
import { estimatedOf, estimateWords, formatValue } from "@/planner/words";
import type { Prediction } from "@/planner/types";
import { formatJoules } from "@/power/words";

export const FIGURES = ["throughput", "latency", "energy", "memory", "links"] as const;
export type Figure = (typeof FIGURES)[number];

export const FIGURE_WORDS: Record<Figure, { title: string; what: string; better: "more" | "less" }> = {
  throughput: { title: "Frames/s", what: "Frames per second, at most", better: "more" },
  latency: { title: "One frame", what: "Time of one frame that is alone", better: "less" },
  energy: { title: "Energy", what: "Energy of all devices together, for each frame", better: "less" },
  memory: { title: "Memory", what: "Memory of the device that needs most", better: "less" },
  links: { title: "Over links", what: "Bytes on all links together, for each frame", better: "less" },
};

/** Null: not known, which is not 0. */
export function figureOf(figure: Figure, prediction: Prediction): number | null {
  switch (figure) {
    case "throughput":
      return prediction.throughput_per_s;
    case "latency":
      return prediction.latency_s;
    case "energy":
      return prediction.total_energy_j;
    case "memory":
      return prediction.max_memory_bytes;
    case "links":
      return prediction.links.reduce((sum, { wire_bytes }) => sum + wire_bytes, 0);
  }
}

export function formatFigure(figure: Figure, value: number): string {
  switch (figure) {
    case "throughput":
      return formatValue("throughput", value).replace(" frames/s", "");
    case "latency":
      return formatDuration(value);
    case "energy":
      return formatJoules(value);
    case "memory":
    case "links":
      return formatBytes(Math.round(value));
  }
}

/** What cannot be told apart is equally good. */
const SAME = 1e-4;

/** The places of the best values, several where they are equal; none where fewer than two are known, or all are the same. */
export function bestOf(figure: Figure, values: readonly (number | null)[]): ReadonlySet<number> {
  const known = values.filter((value) => value !== null);
  if (known.length < 2) return new Set();
  const more = FIGURE_WORDS[figure].better === "more";
  const best = more ? Math.max(...known) : Math.min(...known);
  const isBest = (value: number) => Math.abs(value - best) <= SAME * Math.max(Math.abs(best), 1e-12);
  if (known.every(isBest)) return new Set();
  return new Set(values.flatMap((value, place) => (value !== null && isBest(value) ? [place] : [])));
}

/** On what a prediction rests, in a sentence. */
export function restsOn(prediction: Prediction): string {
  const estimates = estimatedOf(prediction).map(({ what, devices }) => `${estimateWords(what)} of ${devices.join(", ")}`);
  const links = prediction.links.filter(({ estimated }) => estimated).length;
  if (links > 0) estimates.push(plural(links, "link"));
  if (estimates.length > 0) return `Predicted with estimates, because these were not measured: ${estimates.join("; ")}.`;
  return prediction.estimated ? "Predicted with estimates." : "Predicted from measured profiles and links.";
}
