/** Watts and joules in words, always with where they come from. Pure. */
import type { EnergyFigure, PowerFigure, PowerMethod, PowerScope, PowerSettings, PowerSource } from "@/api/types";
import { formatDuration, formatPercent, plural } from "@/app/format";

export const ABSENT = "–";

export const SCOPE_WORDS: Record<PowerScope, string> = {
  board: "whole board",
  module: "module",
  package: "processor package",
  rails: "sum of rails",
  battery: "battery",
  wall: "at the wall",
  gpu: "GPU",
  model: "power model",
};

export const METHOD_WORDS: Record<PowerMethod, string> = { counter: "energy counter", sampled: "sampled watts", estimated: "estimated" };

export function formatWatts(watts: number): string {
  const size = Math.abs(watts);
  if (size > 0 && size < 0.0995) return `${(watts * 1000).toFixed(0)}\u202fmW`;
  return `${watts.toFixed(size < 9.995 ? 2 : size < 99.95 ? 1 : 0)}\u202fW`;
}

export function formatJoules(joules: number): string {
  const size = Math.abs(joules);
  if (size === 0) return "0\u202fJ";
  if (size < 0.000_999_5) return `${(joules * 1e6).toPrecision(3)}\u202fµJ`;
  if (size < 0.099_95) return `${(joules * 1000).toPrecision(3)}\u202fmJ`;
  if (size < 9999.5) return `${joules.toFixed(size < 9.995 ? 2 : size < 99.95 ? 1 : 0)}\u202fJ`;
  return size < 999_500 ? `${(joules / 1000).toPrecision(3)}\u202fkJ` : `${(joules / 1e6).toFixed(size < 99.95e6 ? 2 : 0)}\u202fMJ`;
}

export const wattsOr = (watts: number | null | undefined): string => (watts == null ? ABSENT : formatWatts(watts));
export const joulesOr = (joules: number | null | undefined): string => (joules == null ? ABSENT : formatJoules(joules));

interface Provenance {
  source: string;
  scope: PowerScope;
  method: PowerMethod;
  uncertainty: number | null;
  coverage?: number;
}

/** A relative error as people write it; below one per cent with a digit. */
const share = (error: number): string => (error < 0.00995 ? `${(error * 100).toFixed(1)}\u202f%` : formatPercent(error));

export const isEstimate = ({ method }: Pick<Provenance, "method">): boolean => method === "estimated";

/** `rapl · package · counter · ±5 %`, and the coverage where something is missing. */
export function describeProvenance({ source, scope, method, uncertainty, coverage }: Provenance): string {
  const parts = [source, SCOPE_WORDS[scope], METHOD_WORDS[method], uncertainty === null ? "uncertainty not known" : `±${share(uncertainty)}`];
  const missing = coverage === undefined ? null : coverageNote(coverage);
  return [...parts, ...(missing === null ? [] : [missing])].join(" · ");
}

/** Null when nothing is missing. */
export function coverageNote(coverage: number): string | null {
  if (coverage >= 0.9995) return null;
  return `covers ${(Math.floor(coverage * 1000) / 10).toFixed(coverage < 0.99 ? 0 : 1)}\u202f% of the time`;
}

/** What fits beside a figure on a card. */
export const shortProvenance = (power: Pick<PowerFigure, "source" | "method" | "scope">): string =>
  isEstimate(power) ? "est." : power.source;

/** Energy per frame, gross and net, with the window that it was measured over. Null when no frame passed. */
export function describeEnergy(energy: EnergyFigure | null): string | null {
  if (energy === null || energy.gross_per_frame_j === null) return null;
  const net = energy.net_per_frame_j === null ? "net –" : `net ${formatJoules(energy.net_per_frame_j)}`;
  return `${formatJoules(energy.gross_per_frame_j)} per frame${isEstimate(energy) ? " est." : ""} · ${net}`;
}

export const describeWindow = ({ frames, window_s }: Pick<EnergyFigure, "frames" | "window_s">): string =>
  `${plural(frames, "frame")} in ${formatDuration(window_s)}`;

/** Why no watts are shown now: what would tell them, or that nothing does. */
export function describeNoFigure(sources: readonly PowerSource[], { meter, model }: Pick<PowerSettings, "meter" | "model">): string {
  if (meter) return `No figure now: the plug at ${meter.host} is read while the agent runs.`;
  const sensor = sources.find(({ usable, method }) => usable && method !== "estimated");
  if (sensor) return `No figure now: ${sensor.source} is read while the agent runs.`;
  if (model) return `No figure now: the ${model.source} model estimates while the agent runs.`;
  return "No source of power: no sensor, no plug, no declared watts, no calibration.";
}

/** How a device's power is known, widest first: a plug, its sensors, a model; a dash where nothing tells. */
export function describePower(sources: readonly PowerSource[], settings: PowerSettings): string {
  const usable = sources.filter(({ usable: fine, method }) => fine && method !== "estimated").map(({ source, scope }) => `${source} (${SCOPE_WORDS[scope]})`);
  const plug = settings.meter && !usable.some((text) => text.includes(SCOPE_WORDS.wall)) ? [`${settings.meter.kind} (${SCOPE_WORDS.wall})`] : [];
  const model = settings.model ? [`est. ${formatWatts(settings.model.idle_w)} to ${formatWatts(settings.model.busy_w)}, ${settings.model.source}`] : [];
  const all = [...plug, ...usable, ...model];
  return all.length === 0 ? ABSENT : all.join(", ");
}
