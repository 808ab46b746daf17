/** Predicted beside measured, row by row. Pure. */
import type { Deployment, DeviceLive, Run } from "@/api/types";
import { formatBytes, formatDuration, formatPercent, formatRate } from "@/app/format";
import { own } from "@/app/own";
import { pairKey, type PipelineNow } from "./pipeline";
import type { Prediction } from "@/planner/types";
import { changeWords, formatValue } from "@/planner/words";
import { formatJoules } from "@/power/words";

export interface Row {
  what: string;
  /** Why the two may differ, or where they come from. */
  note: string | null;
  predicted: number | null;
  measured: number | null;
  format: (value: number) => string;
}

export interface Group {
  title: string;
  rows: readonly Row[];
}

const throughput = (value: number): string => formatValue("throughput", value).replace(" frames/s", "/s");
const bytes = (value: number): string => formatBytes(Math.round(value));

/** How far the measured is from the predicted; null where there is nothing to compare. */
export const differenceOf = ({ predicted, measured }: Pick<Row, "predicted" | "measured">): string | null => changeWords(predicted, measured);

export function compareRun(deployment: Pick<Deployment, "stages">, run: Run | null, now: PipelineNow | null, lives: ReadonlyMap<string, DeviceLive>, prediction: Prediction | null): Group[] {
  const whole: Row[] = [
    { what: "Frames a second", note: null, predicted: prediction?.throughput_per_s ?? null, measured: run?.frames_per_s ?? null, format: throughput },
    { what: "Time of one frame", note: "Predicted for a frame that is alone. In a full pipeline frames also wait for one another.", predicted: prediction?.latency_s ?? null, measured: run?.latency_p50_s ?? null, format: formatDuration },
  ];
  const stages = (now?.stages ?? []).map(({ stage, device, predictedS, computeS }): Row => ({ what: stage, note: `Computing one frame on ${device}`, predicted: predictedS, measured: computeS, format: formatDuration }));
  const names = [...new Set(deployment.stages.flatMap(({ devices, device }) => (devices.length > 0 ? devices : [device])))];
  const devices = names.flatMap((name): Row[] => {
    const planned = prediction?.devices.find(({ device }) => device === name);
    const live = lives.get(name);
    const load = now?.loads.find((one) => one.kind === "device" && one.name === name);
    return [
      { what: `${name}: busy`, note: "Share of the time that its stages compute", predicted: planned?.utilisation ?? null, measured: load?.share ?? null, format: formatPercent },
      { what: `${name}: memory`, note: "Of its agent, with the models", predicted: planned?.memory_bytes ?? null, measured: live?.memory_bytes ?? null, format: bytes },
      { what: `${name}: energy of a frame`, note: "All that the device takes between two frames", predicted: planned?.energy_j ?? null, measured: live?.energy?.gross_per_frame_j ?? own(run?.energy ?? {}, name)?.gross_per_frame_j ?? null, format: formatJoules },
    ];
  });
  const links = [...(prediction?.links ?? [])].map(({ source, target, wire_bytes }): Row => ({
    what: `${source} → ${target}`,
    note: "On the link, as the codecs make it",
    predicted: prediction ? wire_bytes * prediction.throughput_per_s : null,
    measured: now?.pairs.get(pairKey(source, target))?.wireBytesPerS ?? null,
    format: formatRate,
  }));
  return [
    { title: "Whole", rows: whole },
    { title: "Stages, time of a frame", rows: stages },
    { title: "Devices", rows: devices },
    { title: "Cuts", rows: links },
  ].filter(({ rows }) => rows.length > 0);
}
