/** Runs side by side: one row per figure, the best of each marked. Pure. */
import type { EnergyFigure, RunReport } from "@/api/types";
import { formatPercent, formatWhole } from "@/app/format";
import { own } from "@/app/own";
import { ABSENT, describeProvenance, joulesOr } from "@/power/words";
import { bottleneckWords, busiestOf, formatLength, formatMoment, fpsOr, secondsOr, SOURCE_WORDS, END_WORDS } from "./words";

export interface CompareRow {
  title: string;
  /** By run, as a person reads it. */
  cells: readonly string[];
  /** Which of them are best; empty where that means nothing or is not known. */
  best: ReadonlySet<number>;
  note?: string;
}

/** The places of the best values: none where fewer than two are known, or all are the same. */
export function bestOf(values: readonly (number | null)[], better: "more" | "less"): ReadonlySet<number> {
  const known = values.filter((value) => value !== null);
  if (known.length < 2 || known.every((value) => value === known[0])) return new Set();
  const best = better === "more" ? Math.max(...known) : Math.min(...known);
  return new Set(values.flatMap((value, i) => (value === best ? [i] : [])));
}

const figure = (title: string, values: readonly (number | null)[], format: (value: number) => string, better: "more" | "less" | null, note?: string): CompareRow => ({
  title,
  cells: values.map((value) => (value === null ? ABSENT : format(value))),
  best: better === null ? new Set() : bestOf(values, better),
  ...(note !== undefined && { note }),
});

const text = (title: string, cells: readonly string[]): CompareRow => ({ title, cells, best: new Set() });

/** Joules of different sources or scopes tell of different things: no best among them. */
function energyRow(device: string, energies: readonly (EnergyFigure | undefined)[]): CompareRow {
  const told = energies.filter((energy) => energy !== undefined);
  const alike = new Set(told.map(({ source, scope, method }) => `${source} ${scope} ${method}`)).size <= 1;
  const values = energies.map((energy) => energy?.gross_per_frame_j ?? null);
  const [first] = told;
  return figure(`Energy per frame, ${device}`, values, joulesOr, alike ? "less" : null, first && (alike ? describeProvenance({ ...first, coverage: 1 }) : "from different sources: not compared"));
}

const deviation = ({ run, prediction }: RunReport): number | null =>
  run.frames_per_s === null || !prediction || prediction.throughput_per_s <= 0 ? null : (run.frames_per_s - prediction.throughput_per_s) / prediction.throughput_per_s;

const signed = (share: number): string => `${share > 0 ? "+" : share < 0 ? "−" : ""}${formatPercent(Math.abs(share))}`;

export function compareRows(reports: readonly RunReport[]): CompareRow[] {
  const runs = reports.map(({ run }) => run);
  const devices = [...new Set(runs.flatMap(({ energy }) => Object.keys(energy ?? {})))].sort();
  const busiest = reports.map(busiestOf);
  const errors = reports.map(deviation);
  const nearest = bestOf(errors.map((error) => (error === null ? null : Math.abs(error))), "less");
  return [
    text("Network", reports.map(({ model_name }) => model_name ?? ABSENT)),
    text("Plan", reports.map(({ plan_name }) => plan_name ?? ABSENT)),
    text("Devices", reports.map(({ deployment }) => deployment?.devices.map(({ device }) => device).join(", ") ?? ABSENT)),
    text("Began", runs.map(({ started_at }) => formatMoment(started_at))),
    text("Input", runs.map(({ source }) => SOURCE_WORDS[source])),
    figure("Took", runs.map(({ elapsed_s }) => elapsed_s), formatLength, null),
    text("Ended", runs.map(({ state }) => END_WORDS[state])),
    figure("Frames/s", runs.map(({ frames_per_s }) => frames_per_s), fpsOr, "more"),
    figure("Predicted frames/s", reports.map(({ prediction }) => prediction?.throughput_per_s ?? null), fpsOr, null),
    { ...figure("Measured against predicted", errors, signed, null), best: nearest, note: "the nearest is marked" },
    figure("Latency, median", runs.map(({ latency_p50_s }) => latency_p50_s), secondsOr, "less"),
    figure("Latency, 95th percentile", runs.map(({ latency_p95_s }) => latency_p95_s), secondsOr, "less"),
    figure("Frames delivered", runs.map(({ delivered }) => delivered), formatWhole, null),
    figure("Frames lost", runs.map(({ lost }) => lost), formatWhole, "less"),
    ...devices.map((device) => energyRow(device, runs.map(({ energy }) => energy && own(energy, device)))),
    text("Busiest, measured", busiest.map((found) => (found === null ? ABSENT : `${found.device}, ${secondsOr(found.busyS)} a frame`))),
    text("Bottleneck, predicted", reports.map(({ prediction }) => (prediction ? bottleneckWords(prediction.bottleneck) : ABSENT))),
  ];
}
