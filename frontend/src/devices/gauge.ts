/** A figure against its limit, predicted and live: how full, and whether it comes close. Pure. */
import { formatPercent } from "@/app/format";

/** From here on it comes close to its limit, and from there on it is as good as there. */
const CLOSE = 0.85;
const FULL = 0.95;

export type Tone = "fine" | "close" | "full";

const TONE_WORDS: Record<Tone, string> = { fine: "", close: "close to the limit", full: "at the limit" };
const RANK: Record<Tone, number> = { fine: 0, close: 1, full: 2 };

export interface Reading {
  label: string;
  /** Null: no figure, which is not 0. */
  live: number | null;
  /** Whether a live figure is expected: then its absence is told. */
  isLive: boolean;
  predicted: number | null;
  limit: number | null;
  /** Where the track ends without a limit; else the larger of the two gives it. */
  scale?: number | null;
  format: (value: number) => string;
  /** What is full by design is no alarm: the busiest device of every plan. */
  calm?: boolean;
  /** Said where no live figure comes. */
  none?: string;
}

export interface GaugeView {
  /** Of the track, from 0 to 1; null where nothing is known. */
  fill: number | null;
  /** Where the predicted is marked beside a live fill. */
  mark: number | null;
  tone: Tone;
  /** In short, beside the track. */
  value: string;
  /** In full, for who hears it. */
  words: string;
}

export function toneOf(value: number | null, limit: number | null): Tone {
  if (value === null || limit === null || limit <= 0) return "fine";
  const share = value / limit;
  return share >= FULL ? "full" : share >= CLOSE ? "close" : "fine";
}

const worse = (a: Tone, b: Tone): Tone => (RANK[a] >= RANK[b] ? a : b);
export const worstTone = (tones: readonly Tone[]): Tone => tones.reduce(worse, "fine");

export function gaugeOf({ label, live, isLive, predicted, limit, scale = null, format, calm = false, none = "no figure" }: Reading): GaugeView {
  const shown = isLive ? live : predicted;
  const full = limit ?? Math.max(scale ?? 0, Math.max(live ?? 0, predicted ?? 0) * (scale === null ? 1.25 : 1));
  const share = (value: number | null) => (value === null || full <= 0 ? null : Math.min(value / full, 1));
  const tone = worse(isLive ? toneOf(live, limit) : "fine", calm ? "fine" : toneOf(predicted, limit));
  const against = limit === null || shown === null ? "" : ` of ${format(limit)}, ${formatPercent(shown / limit)}`;
  const told = shown === null ? (isLive ? none : "not predicted") : `${format(shown)}${against}`;
  const beside = isLive && predicted !== null ? `; predicted ${format(predicted)}` : isLive || shown === null ? "" : " predicted";
  const alarm = tone === "fine" ? "" : `; ${TONE_WORDS[tone]}`;
  return {
    fill: share(shown),
    mark: isLive ? share(predicted) : null,
    tone,
    value: shown === null ? (isLive ? none : "–") : format(shown),
    words: `${label}: ${told}${beside}${alarm}`,
  };
}
