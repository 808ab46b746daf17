/** What a run did over time: its speed as the studio saw it, and each device's figures as far as they are kept. */
import { SegmentedControl } from "@mantine/core";
import { useQuery } from "@tanstack/react-query";
import { useCallback, useMemo, useState } from "react";
import type { History, RunReport } from "@/api/types";
import { formatDuration, formatFps } from "@/app/format";
import { POINT_VALUES } from "@/live/history";
import { formatMetric, METRIC_LABELS } from "@/live/metrics";
import { METRICS, type Metric } from "@/live/series";
import { METHOD_WORDS } from "@/power/words";
import { LineChart } from "./LineChart";
import { runHistoryQuery } from "./queries";
import { formatLength } from "./words";

function range(values: readonly number[], format: (value: number) => string): string {
  if (values.length === 0) return "";
  const [least, most] = [format(Math.min(...values)), format(Math.max(...values))];
  return least === most ? most : `${least} to ${most}`;
}

/** Seconds since the run began, on an axis. */
const formatTick = (seconds: number): string => (seconds < 60 ? `${Number(seconds.toFixed(1))}\u202fs` : formatLength(seconds));

export function RunCharts({ report: { run, points, devices, deployment } }: { report: RunReport }) {
  const names = deployment?.devices.map(({ device }) => device) ?? devices.map(({ device }) => device);
  const [metric, setMetric] = useState<Metric>("cpu");
  const times = useMemo(() => points.map(({ elapsed_s }) => elapsed_s), [points]);
  const fps = useMemo(() => points.map(({ frames_per_s }) => frames_per_s), [points]);
  const latency = useMemo(() => points.map(({ latency_p50_s }) => latency_p50_s), [points]);
  return (
    <section className="report-part" aria-labelledby="charts-title">
      <div className="report-part-head">
        <h2 id="charts-title">Over time</h2>
        <SegmentedControl
          size="xs"
          aria-label="Which figure of each device"
          value={metric}
          onChange={(value) => setMetric(value as Metric)}
          data={METRICS.map((value) => ({ value, label: METRIC_LABELS[value] }))}
        />
      </div>
      <div className="report-charts">
        <figure>
          <figcaption>
            Frames/s of the run <b>{range(fps, formatFps)}</b>
          </figcaption>
          {points.length === 0 ? <p className="chart-empty">too short to tell</p> : <LineChart times={times} values={fps} format={formatFps} formatTime={formatTick} until={run.elapsed_s} />}
        </figure>
        <figure>
          <figcaption>
            Latency, median <b>{range(latency.filter((value) => value !== null), formatDuration)}</b>
          </figcaption>
          {latency.every((value) => value === null) ? <p className="chart-empty">too short to tell</p> : <LineChart times={times} values={latency} format={formatDuration} formatTime={formatTick} until={run.elapsed_s} />}
        </figure>
        {names.map((name) => (
          <DeviceChart key={name} name={name} metric={metric} startedAt={run.started_at} elapsedS={run.elapsed_s} running={run.state === "running"} />
        ))}
      </div>
    </section>
  );
}

function noFigure(history: History | undefined, isPending: boolean, metric: Metric): string {
  if (isPending) return "…";
  if (!history || history.points.every((point) => METRICS.every((one) => POINT_VALUES[one](point) === null))) return "kept no longer, or not heard of";
  return metric === "temperature" || metric === "power" ? "no sensor told it" : "no figure";
}

function DeviceChart({ name, metric, startedAt, elapsedS, running }: { name: string; metric: Metric; startedAt: string; elapsedS: number; running: boolean }) {
  // What goes on is fetched anew in steps, not with every moment.
  const { data, isPending } = useQuery(runHistoryQuery(name, startedAt, running ? Math.ceil(elapsedS / 10) * 10 : elapsedS));
  const format = useCallback((value: number) => formatMetric(metric, value), [metric]);
  const begin = Date.parse(startedAt);
  const times = useMemo(() => (data?.points ?? []).map(({ at }) => (Date.parse(at) - begin) / 1000), [data, begin]);
  const values = useMemo(() => (data?.points ?? []).map(POINT_VALUES[metric]), [data, metric]);
  const known = values.filter((value) => value !== null);
  const estimated = metric === "power" && data?.power_method === "estimated";
  return (
    <figure>
      <figcaption>
        {name}: {METRIC_LABELS[metric]} <b>{range(known, format)}</b>
        {metric === "power" && data?.power_source != null && data.power_method !== null && (
          <small>
            {" "}
            {data.power_source}, {METHOD_WORDS[data.power_method]}
          </small>
        )}
      </figcaption>
      {known.length === 0 ? (
        <p className="chart-empty">{noFigure(data, isPending, metric)}</p>
      ) : (
        <LineChart times={times} values={values} format={format} formatTime={formatTick} until={elapsedS} estimated={estimated} {...(metric === "cpu" && { max: 1 })} />
      )}
    </figure>
  );
}
