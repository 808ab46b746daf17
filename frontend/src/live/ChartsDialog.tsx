/** A device's figures over time: the stored history first, then what comes live; its memory, energy and stages. */
import { SegmentedControl } from "@mantine/core";
import { useQuery } from "@tanstack/react-query";
import { useState } from "react";
import { asProblem } from "@/api/client";
import { devicesQuery, historyQuery } from "@/api/queries";
import type { DeviceLive, History } from "@/api/types";
import { Dialog } from "@/app/Dialog";
import { formatBytes, formatDuration, formatFps, formatPercent, plural } from "@/app/format";
import { HeadRow } from "@/app/HeadRow";
import { ProblemCard } from "@/app/ProblemCard";
import { own } from "@/app/own";
import { throttleWords } from "@/devices/checkGroups";
import { EnergyFacts, PowerTable, Throttled } from "@/power/PowerFigure";
import { ABSENT, describeNoFigure, METHOD_WORDS, SCOPE_WORDS, shortProvenance } from "@/power/words";
import { Chart } from "./Chart";
import { formatMetric, METRIC_LABELS } from "./metrics";
import { describeLinks } from "./flow";
import { POINT_VALUES, throttledShare, WINDOW_WORDS, WINDOWS, type WindowS } from "./history";
import { metricOf, METRICS, type Metric } from "./series";
import { STALE_AFTER_MS, useLive, useNow } from "./store";

export function ChartsDialog({ name, close }: { name: string; close: () => void }) {
  const [windowS, setWindowS] = useState<WindowS>(600);
  const latest = useLive((state) => own(state.latest, name));
  const device = useQuery(devicesQuery).data?.find((one) => one.name === name);
  const noPower = device ? describeNoFigure(device.check?.power_sources ?? [], device.power) : "no figure";
  const { data: history = null, error, isPending } = useQuery(historyQuery(name, windowS));
  const now = useNow();
  const stale = !latest || now - latest.receivedAt > STALE_AFTER_MS;
  const live = latest?.live ?? null;
  const known = live !== null || (history !== null && history.points.length > 0);
  return (
    <Dialog onClose={close} title={`Figures of ${name}`} size={980}>
      <div className="charts-head">
        <SegmentedControl
          size="xs"
          aria-label="How far back"
          value={String(windowS)}
          onChange={(value) => setWindowS(WINDOWS.find((one) => String(one) === value) ?? 600)}
          data={WINDOWS.map((one) => ({ value: String(one), label: WINDOW_WORDS[one] }))}
          data-testid="history-window"
        />
        <span className="hint">{stale ? "Nothing comes live now: figures come while the agent runs." : "Live."}</span>
        {live?.thermal && <Throttled names={live.thermal.throttled.length > 0 ? [throttleWords(live.thermal.throttled)] : []} />}
        <HistoryNotes history={history} />
      </div>
      {error && <ProblemCard problem={asProblem(error)} />}
      {!known && !isPending && <p className="dialog-text">No figures yet: they come while a deployment runs on this device.</p>}
      {known && (
        <div className="chart-grid">
          {METRICS.map((metric) => (
            <MetricChart key={metric} name={name} metric={metric} live={stale ? null : live} history={history} windowS={windowS} noPower={noPower} />
          ))}
          {live && <MemoryFacts live={live} />}
          {live && (
            <section className="stage-table">
              <h3>Energy per frame, over the last seconds</h3>
              <EnergyFacts energy={live.energy} />
              <PowerTable power={live.power} other={live.other_power} none={noPower} />
            </section>
          )}
          {live && <StageTable live={live} />}
        </div>
      )}
    </Dialog>
  );
}

function HistoryNotes({ history }: { history: History | null }) {
  if (!history) return null;
  const throttled = throttledShare(history);
  return (
    <>
      {history.missing_samples > 0 && <span className="hint is-short">{plural(history.missing_samples, "sample")} lost: the device's store was full</span>}
      {throttled !== null && throttled > 0 && <span className="hint is-short">throttled for {formatPercent(throttled)} of this time</span>}
    </>
  );
}

function provenance(live: DeviceLive | null, history: History | null): { words: string; estimated: boolean } | null {
  if (live?.power) return { words: shortProvenance(live.power), estimated: live.power.method === "estimated" };
  if (!history?.power_source || !history.power_scope || !history.power_method) return null;
  return { words: `${history.power_source}, ${SCOPE_WORDS[history.power_scope]}, ${METHOD_WORDS[history.power_method]}`, estimated: history.power_method === "estimated" };
}

interface MetricChartProps {
  name: string;
  metric: Metric;
  live: DeviceLive | null;
  history: History | null;
  windowS: WindowS;
  /** Said where no watts are known. */
  noPower: string;
}

function MetricChart({ name, metric, live, history, windowS, noPower }: MetricChartProps) {
  const value = live === null ? null : metricOf(live, metric);
  const from = metric === "power" ? provenance(live, history) : null;
  const before = history?.points.some((point) => POINT_VALUES[metric](point) !== null) ?? false;
  const empty = value === null && !before;
  return (
    <section data-testid={`chart-${metric}`}>
      <h3>
        {METRIC_LABELS[metric]} <b className={from?.estimated && value !== null ? "amount is-estimate" : ""}>{value === null ? ABSENT : formatMetric(metric, value)}</b>
        {from !== null && <small> {from.words}</small>}
      </h3>
      {empty ? (
        <p className="chart-empty">{metric === "power" ? noPower : metric === "temperature" ? "no sensor" : "no figure"}</p>
      ) : (
        <Chart device={name} metric={metric} height={140} axes format={(tick) => formatMetric(metric, tick)} max={metric === "cpu" ? 1 : undefined} windowS={windowS} history={history} estimated={from?.estimated ?? false} />
      )}
    </section>
  );
}

const bytesOr = (bytes: number | null) => (bytes === null ? ABSENT : formatBytes(bytes));

function MemoryFacts({ live }: { live: DeviceLive }) {
  const share = live.memory_limit_bytes > 0 && live.memory_bytes !== null ? ` (${formatPercent(live.memory_bytes / live.memory_limit_bytes)})` : "";
  const rows: [term: string, value: string, why: string][] = [
    ["Agent, PSS", `${bytesOr(live.memory_bytes)}${share}`, "its own pages, and its part of the shared ones"],
    ["of it alone, USS", bytesOr(live.memory_unique_bytes), "what would come free if it ended"],
    ["Peak", formatBytes(live.memory_peak_bytes), "since the agent started"],
    ["The models' share", formatBytes(live.memory_model_bytes), "weights, activations, and what loading added"],
    ["Limit", formatBytes(live.memory_limit_bytes), "the device's, or its control group's"],
    ...(live.gpu_memory_bytes === null ? [] : ([["GPU", formatBytes(live.gpu_memory_bytes), "part of the memory above where GPU and CPU share it"]] as [string, string, string][])),
  ];
  return (
    <section data-testid="memory-facts">
      <h3>Memory in parts</h3>
      <dl className="memory-facts">
        {rows.map(([term, value, why]) => (
          <div key={term}>
            <dt>
              {term} <small>{why}</small>
            </dt>
            <dd>{value}</dd>
          </div>
        ))}
      </dl>
    </section>
  );
}

function StageTable({ live }: { live: DeviceLive }) {
  const duration = (seconds: number | null | undefined) => (seconds == null ? ABSENT : formatDuration(seconds));
  return (
    <section className="stage-table">
      <h3>
        Stages <b>{describeLinks(live)}</b>
      </h3>
      <table className="plain-table">
        <HeadRow titles={["Stage", "Frames/s", "Compute", "Wait", "Queued", "Frames", "Lost", "Weights", "Activations", "Arena"]} />
        <tbody>
          {/* While a deployment takes the place of another, both have stages here. */}
          {live.stages.map((stage) => (
            <tr key={`${stage.deployment} ${stage.epoch} ${stage.stage}`}>
              <th scope="row">{stage.stage}</th>
              <td>{formatFps(stage.frames_per_s)}</td>
              <td>{duration(stage.compute_s)}</td>
              <td>{duration(stage.queue_wait_s)}</td>
              <td>{stage.queued}</td>
              <td>{stage.frames}</td>
              <td>{stage.lost}</td>
              <td>{formatBytes(stage.weight_bytes)}</td>
              <td>{bytesOr(stage.activation_bytes)}</td>
              <td>{bytesOr(stage.arena_bytes)}</td>
            </tr>
          ))}
        </tbody>
      </table>
    </section>
  );
}
