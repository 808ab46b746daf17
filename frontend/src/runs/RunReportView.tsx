/** The report of one run: measured beside predicted, by device and stage, over time; the plan as it was. */
import { Button, Loader, Menu } from "@mantine/core";
import { useQuery } from "@tanstack/react-query";
import { IconAlertTriangle, IconArrowLeft, IconChevronDown, IconDownload, IconPrinter, IconTable, IconTrash } from "@tabler/icons-react";
import { useState } from "react";
import { asProblem } from "@/api/client";
import type { RunReport } from "@/api/types";
import { download, fileName } from "@/app/download";
import { formatAgo, formatPercent, formatWhole } from "@/app/format";
import { ProblemCard } from "@/app/ProblemCard";
import { navigate } from "@/app/router";
import { useNow } from "@/live/store";
import { restsOn } from "@/plans/figures";
import { ABSENT } from "@/power/words";
import { describeError } from "@/profiles/table";
import { DeleteRuns } from "./DeleteRuns";
import { compareCsv, reportHtml } from "./export";
import { OpenPlan } from "./OpenPlan";
import { reportQuery } from "./queries";
import { RunCharts } from "./RunCharts";
import { EnergyPart, NetworkPart, StagePart, DevicePart, TrafficPart } from "./RunParts";
import { bottleneckWords, busiestOf, END_WORDS, formatLength, formatMoment, fpsOr, secondsOr, SOURCE_WORDS } from "./words";

export function RunReportView({ id }: { id: string }) {
  const { data: report, error, isPending, refetch } = useQuery(reportQuery(id));
  return (
    <>
      <Button className="runs-back" size="compact-sm" variant="subtle" color="gray" leftSection={<IconArrowLeft size={14} />} onClick={() => navigate("/runs")}>
        All runs
      </Button>
      {isPending && <Loader size="sm" />}
      {error && (
        <ProblemCard problem={asProblem(error)}>
          <Button size="xs" variant="default" onClick={() => void refetch()}>
            Try again
          </Button>
          <Button size="xs" variant="default" onClick={() => navigate("/runs")}>
            All runs
          </Button>
        </ProblemCard>
      )}
      {report && <Report report={report} />}
    </>
  );
}

function Report({ report }: { report: RunReport }) {
  const { run, prediction } = report;
  const [deleting, setDeleting] = useState(false);
  const now = useNow();
  const running = run.state === "running";
  return (
    <article className="report" data-testid="run-report">
      <header className="report-head">
        <div>
          <h1>{report.model_name ?? "A removed network"}</h1>
          <p>
            {report.plan_name ?? "Plan without a name"} · <span title={formatMoment(run.started_at)}>{formatAgo(run.started_at, now)}</span> · {SOURCE_WORDS[run.source]}
            {run.in_flight === 1 && " · one frame at a time"} · <span className={`run-end run-${run.state}`}>{END_WORDS[run.state]}</span>
          </p>
        </div>
        <OpenPlan report={report} />
        <Export report={report} />
        <Button size="xs" variant="default" leftSection={<IconTrash size={14} />} disabled={running} title={running ? "Stop the run first" : undefined} onClick={() => setDeleting(true)} data-testid="delete-run">
          Delete…
        </Button>
      </header>
      {run.problem && <ProblemCard problem={run.problem} />}
      <Figures report={report} />
      {prediction?.estimated && (
        <p className="report-note">
          <IconAlertTriangle size={14} aria-hidden /> {restsOn(prediction)}
        </p>
      )}
      {report.prediction_missing != null && <p className="report-note">No prediction: {report.prediction_missing}</p>}
      <RunCharts report={report} />
      <StagePart report={report} />
      <DevicePart report={report} />
      <EnergyPart report={report} />
      <TrafficPart report={report} />
      <NetworkPart report={report} />
      {deleting && <DeleteRuns ids={[run.id]} close={() => setDeleting(false)} done={() => navigate("/runs")} />}
    </article>
  );
}

function Figures({ report }: { report: RunReport }) {
  const { run, prediction } = report;
  const busiest = busiestOf(report);
  const figures: { title: string; value: string; note: string; bad?: boolean }[] = [
    {
      title: "Frames/s",
      value: fpsOr(run.frames_per_s),
      note: prediction ? `predicted ${fpsOr(prediction.throughput_per_s)}, ${describeError(prediction.throughput_per_s, run.frames_per_s) ?? ABSENT}` : "not predicted",
    },
    { title: "Latency, median", value: secondsOr(run.latency_p50_s), note: prediction ? `alone in the pipeline: predicted ${secondsOr(prediction.latency_s)}` : "not predicted" },
    { title: "95th percentile", value: secondsOr(run.latency_p95_s), note: "of the newest frames" },
    { title: "Frames", value: formatWhole(run.delivered), note: `in ${formatLength(run.elapsed_s)}` },
    { title: "Lost", value: formatWhole(run.lost), note: run.lost > 0 ? "did not come back" : "all came back", bad: run.lost > 0 },
    {
      title: "Busiest device",
      value: busiest ? busiest.device : ABSENT,
      note: [
        busiest ? `computes ${secondsOr(busiest.busyS)} a frame${busiest.utilisation === null ? "" : `, ${formatPercent(busiest.utilisation)} of the time`}` : "too short to tell",
        prediction ? `predicted bottleneck: ${bottleneckWords(prediction.bottleneck)}` : null,
      ]
        .filter((part) => part !== null)
        .join("; "),
    },
  ];
  return (
    <dl className="report-figures">
      {figures.map(({ title, value, note, bad }) => (
        <div key={title} className={bad ? "is-bad" : ""}>
          <dt>{title}</dt>
          <dd title={value}>{value}</dd>
          <dd className="report-small">{note}</dd>
        </div>
      ))}
    </dl>
  );
}

function Export({ report }: { report: RunReport }) {
  const name = `run-${fileName(report.model_name ?? "network", "network")}-${report.run.id}`;
  return (
    <Menu position="bottom-end" withinPortal>
      <Menu.Target>
        <Button size="xs" variant="default" leftSection={<IconDownload size={14} />} rightSection={<IconChevronDown size={13} />} data-testid="export-run">
          Export
        </Button>
      </Menu.Target>
      <Menu.Dropdown>
        <Menu.Item leftSection={<IconPrinter size={14} />} onClick={() => download(`${name}.html`, reportHtml(report), "text/html")} data-testid="export-html">
          Report to read and print (HTML)
        </Menu.Item>
        <Menu.Item leftSection={<IconTable size={14} />} onClick={() => download(`${name}.csv`, compareCsv([report]), "text/csv")} data-testid="export-csv">
          Figures for a spreadsheet (CSV)
        </Menu.Item>
        <Menu.Item leftSection={<IconDownload size={14} />} onClick={() => download(`${name}.json`, `${JSON.stringify(report, null, 2)}\n`)} data-testid="export-json">
          Everything (JSON)
        </Menu.Item>
      </Menu.Dropdown>
    </Menu>
  );
}
