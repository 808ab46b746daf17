/** A report as files: a page that needs nothing else and prints well, and a table for spreadsheets. Pure. */
import type { RunReport } from "@/api/types";
import { formatBytes, formatMacs, formatPercent, formatRate, formatShape, formatWhole } from "@/app/format";
import { cellText } from "@/app/spreadsheet";
import { restsOn } from "@/plans/figures";
import { ABSENT, describeProvenance, describeWindow, joulesOr } from "@/power/words";
import { describeError } from "@/profiles/table";
import { compareRows } from "./compare";
import { bottleneckWords, busiestOf, END_WORDS, formatLength, formatMoment, fpsOr, secondsOr, SOURCE_WORDS } from "./words";

const ENTITIES: Record<string, string> = { "&": "&amp;", "<": "&lt;", ">": "&gt;", '"': "&quot;", "'": "&#39;" };
const escapeHtml = (text: string): string => text.replace(/[&<>"']/g, (letter) => ENTITIES[letter] ?? letter);

/** A cell as CSV has it. Where a decimal is written with a comma, semicolons part the cells. */
export function csvCell(text: string): string {
  const safe = cellText(text);
  return /[",;]/.test(safe) ? `"${safe.replaceAll('"', '""')}"` : safe;
}

const plain = (text: string): string => text.replaceAll("\u202f", " ");

/** Several runs beside one another, or one alone: a figure a line. */
export function compareCsv(reports: readonly RunReport[]): string {
  const lines = compareRows(reports).map(({ title, cells }) => [title, ...cells]);
  return `${[["Run", ...reports.map(({ run }) => run.id)], ...lines].map((line) => line.map((cell) => csvCell(plain(cell))).join(",")).join("\n")}\n`;
}

type Cell = string | null | undefined;

function table(caption: string, titles: readonly string[], rows: readonly (readonly Cell[])[]): string {
  if (rows.length === 0) return "";
  const head = titles.map((title) => `<th scope="col">${escapeHtml(title)}</th>`).join("");
  const body = rows.map(([first, ...rest]) => `<tr><th scope="row">${escapeHtml(first ?? ABSENT)}</th>${rest.map((cell) => `<td>${escapeHtml(cell ?? ABSENT)}</td>`).join("")}</tr>`).join("\n");
  return `<h2>${escapeHtml(caption)}</h2>\n<table><thead><tr>${head}</tr></thead><tbody>\n${body}\n</tbody></table>`;
}

const STYLE = `body{font:14px/1.45 system-ui,sans-serif;color:#1a1e24;max-width:960px;margin:32px auto;padding:0 20px}h1{font-size:21px;margin:0 0 4px}h2{font-size:15px;margin:26px 0 6px}
p{margin:2px 0;color:#58616d}table{border-collapse:collapse;width:100%;font-variant-numeric:tabular-nums}th,td{text-align:right;padding:4px 8px;border-bottom:1px solid #e1e4e9;font-weight:400;overflow-wrap:anywhere}
th:first-child{text-align:left;padding-left:0}thead th{color:#58616d}tbody th{font-weight:600}svg{width:100%;height:160px;border-bottom:1px solid #c9ced6}polyline{fill:none;stroke:#3b5bdb;stroke-width:1.5;vector-effect:non-scaling-stroke}
@media print{body{margin:0}h2{break-after:avoid}tr{break-inside:avoid}}`;

/** Frames per second over time; empty where fewer than two stretches are known. */
export function chartSvg(points: RunReport["points"]): string {
  const last = points.at(-1);
  if (!last || points.length < 2) return "";
  const most = Math.max(...points.map(({ frames_per_s }) => frames_per_s), 1e-9);
  const line = points.map(({ elapsed_s, frames_per_s }) => `${((elapsed_s / last.elapsed_s) * 1000).toFixed(1)},${(100 - (frames_per_s / most) * 96).toFixed(1)}`).join(" ");
  return `<h2>Frames/s over time</h2>\n<svg viewBox="0 0 1000 100" preserveAspectRatio="none" role="img" aria-label="Frames per second over time"><polyline points="${line}"/></svg><p>0 to ${escapeHtml(fpsOr(most))} frames/s, over ${escapeHtml(formatLength(last.elapsed_s))}</p>`;
}

/** The whole report as one page without scripts; every text in it is escaped. */
export function reportHtml(report: RunReport): string {
  const { run, prediction, network, deployment } = report;
  const title = `${report.model_name ?? "A removed network"}${report.plan_name === null ? "" : `, ${report.plan_name}`}`;
  const busiest = busiestOf(report);
  const predictedDevices = new Map((prediction?.devices ?? []).map((device) => [device.device, device]));
  const summary: Cell[][] = [
    ["Frames/s", fpsOr(run.frames_per_s), fpsOr(prediction?.throughput_per_s), describeError(prediction?.throughput_per_s ?? null, run.frames_per_s)],
    ["Latency, median", secondsOr(run.latency_p50_s), secondsOr(prediction?.latency_s), null],
    ["Latency, 95th percentile", secondsOr(run.latency_p95_s), null, null],
    ["Busiest, and predicted bottleneck", busiest ? `${busiest.device}, ${secondsOr(busiest.busyS)} a frame` : null, prediction ? bottleneckWords(prediction.bottleneck) : null, null],
  ];
  const parts = [
    `<h1>${escapeHtml(title)}</h1>`,
    `<p>Run ${escapeHtml(run.id)}: began ${escapeHtml(formatMoment(run.started_at))}, took ${escapeHtml(formatLength(run.elapsed_s))}, ${END_WORDS[run.state]}; ${SOURCE_WORDS[run.source]}.</p>`,
    `<p>${formatWhole(run.delivered)} frames delivered, ${formatWhole(run.lost)} lost.</p>`,
    run.problem ? `<p>${escapeHtml(run.problem.message)}</p>` : "",
    table("Measured and predicted", ["", "measured", "predicted", "difference"], summary),
    prediction?.estimated ? `<p>${escapeHtml(restsOn(prediction))}</p>` : "",
    chartSvg(report.points),
    table(
      "Stages",
      ["Stage", "Device", "Frames", "Lost", "Compute", "predicted", "difference", "Wait"],
      report.stages.map((stage) => [stage.stage, stage.device, formatWhole(stage.frames), formatWhole(stage.lost), secondsOr(stage.compute_s), secondsOr(stage.predicted_s), describeError(stage.predicted_s, stage.compute_s), secondsOr(stage.queue_wait_s)]),
    ),
    table(
      "Devices",
      ["Device", "CPU", "predicted busy", "Memory, most", "Received", "Sent", "Hottest"],
      report.devices.map((device) => {
        const planned = predictedDevices.get(device.device);
        return [
          device.device,
          device.cpu_utilisation === null ? null : formatPercent(device.cpu_utilisation),
          planned ? formatPercent(planned.utilisation) : null,
          device.memory_peak_bytes === null ? null : formatBytes(device.memory_peak_bytes),
          device.received_bytes_per_s === null ? null : formatRate(device.received_bytes_per_s),
          device.sent_bytes_per_s === null ? null : formatRate(device.sent_bytes_per_s),
          device.temperature_peak_c === null ? null : `${device.temperature_peak_c.toFixed(0)} °C${device.throttled ? ", throttled" : ""}`,
        ];
      }),
    ),
    table(
      "Energy",
      ["Device", "per frame, gross", "per frame, net", "Window", "From"],
      Object.entries(run.energy ?? {}).map(([device, energy]) => [device, joulesOr(energy.gross_per_frame_j), joulesOr(energy.net_per_frame_j), describeWindow(energy), describeProvenance(energy)]),
    ),
    table(
      "Between devices",
      ["From", "To", "A frame", "On the wire"],
      (deployment?.cuts ?? []).map((cut) => [cut.producer_device, cut.consumer_device, formatBytes(cut.size_bytes), cut.wire_bytes === null ? null : formatBytes(cut.wire_bytes)]),
    ),
    network
      ? table("Network", ["", ""], [
          ["Layers", formatWhole(network.layer_count)],
          ["Work", formatMacs(network.macs)],
          ["Weights", formatBytes(network.weight_bytes)],
          ["Form", network.simplified ? "simplified" : "as in the file"],
          ...network.inputs.map((input) => [`Input ${input.name}`, `${formatShape(input.shape)} ${input.dtype}`]),
          ["SHA-256", network.digest],
        ])
      : "",
  ];
  return `<!doctype html>\n<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width"><title>${escapeHtml(title)}</title><style>${STYLE}</style></head><body>\n${parts.filter((part) => part !== "").join("\n")}\n</body></html>\n`;
}
