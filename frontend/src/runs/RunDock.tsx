/** The run of a deployment: what goes in, how fast it comes out, and the results. */
import { Button, FileButton, Select, Switch } from "@mantine/core";
import { IconPhoto, IconPlayerPlayFilled, IconPlayerStopFilled, IconPower, IconWaveSine } from "@tabler/icons-react";
import { useEffect, useMemo, useRef, useState } from "react";
import { asProblem, call, client, postForm, type Problem } from "@/api/client";
import { rememberDeployment } from "@/api/queries";
import type { Deployment, FrameResult, Model, Run } from "@/api/types";
import { useCommands, type Command } from "@/app/commands";
import { formatDuration, formatElapsed, formatFps, formatPercent, plural } from "@/app/format";
import { ProblemCard } from "@/app/ProblemCard";
import { useRun } from "@/deploy/deploying";
import { usePipeline } from "@/live/pipelineStore";
import { recordRun } from "@/live/store";
import type { Prediction } from "@/planner/types";
import { changeWords } from "@/planner/words";
import "@/styles/devices.css";
import "@/styles/deploy.css";
import { Compared } from "./Compared";
import { FrameWay } from "./FrameWay";
import { RunEnergy } from "./RunEnergy";
import { thumbnailOf, rememberFiles } from "./thumbnails";

type Source = Run["source"];

const SOURCE_LABELS: Record<Source, string> = { samples: "Sample images", files: "Files…", random: "Random input" };

interface RunDockProps {
  model: Model;
  deployment: Deployment;
  /** What is predicted of what runs, which may not be the plan under the hand any more. */
  prediction: Prediction | null;
}

const TABS = ["results", "compare", "way"] as const;
type Tab = (typeof TABS)[number];
const TAB_TITLES: Record<Tab, string> = { results: "Results", compare: "Predicted and measured", way: "A frame's way" };

export function RunDock({ model, deployment, prediction }: RunDockProps) {
  const run = useRun(deployment);
  const [tab, setTab] = useState<Tab>("results");
  const [source, setSource] = useState<Source>(model.samples.length > 0 ? "samples" : "random");
  const [repeat, setRepeat] = useState(true);
  const [files, setFiles] = useState<File[]>([]);
  const [busy, setBusy] = useState<"run" | "stop" | "end" | null>(null);
  const [problem, setProblem] = useState<Problem | null>(null);
  const running = run?.state === "running";
  const sources: Source[] = model.samples.length > 0 ? ["samples", "files", "random"] : ["files", "random"];
  const ready = deployment.state === "running" && (source !== "files" || files.length > 0);

  const settle = <T,>(what: "run" | "stop" | "end", work: Promise<T>, then: (value: T) => void) => {
    setBusy(what);
    setProblem(null);
    work.then(then, (error: unknown) => setProblem(asProblem(error))).finally(() => setBusy(null));
  };
  const start = () => {
    const form = new FormData();
    form.set("source", source);
    form.set("repeat", String(repeat));
    if (source === "files") for (const file of files) form.append("files", file);
    settle("run", postForm<Run>(`/api/deployments/${encodeURIComponent(deployment.id)}/runs`, form, () => undefined), (started) => {
      if (source === "files") rememberFiles(started.id, files);
      recordRun(started);
    });
  };
  const stopRun = () => {
    if (run) settle("stop", call(client.POST("/api/runs/{run_id}/stop", { params: { path: { run_id: run.id } } })), recordRun);
  };
  const end = () => {
    settle("end", call(client.POST("/api/deployments/{deployment_id}/stop", { params: { path: { deployment_id: deployment.id } } })), rememberDeployment);
  };

  const unable = running || ready ? null : deployment.state === "running" ? "Choose files first" : "Nothing runs to send frames through";
  const act = useRef({ start, stopRun });
  useEffect(() => {
    act.current = { start, stopRun };
  });
  useCommands(
    useMemo<readonly Command[]>(
      () => [
        running
          ? { id: "run.stop", group: "Run", title: "Stop the run", words: "frames end", run: () => act.current.stopRun() }
          : { id: "run.start", group: "Run", title: "Run frames through the devices", words: "start samples files random", unable, run: () => act.current.start() },
        ...TABS.map((name): Command => ({ id: `run.${name}`, group: "Run", title: `Show: ${TAB_TITLES[name]}`, words: "live measured latency bottleneck", run: () => setTab(name) })),
      ],
      [running, unable],
    ),
  );

  return (
    <section className={`dock is-${tab}`} aria-label="Run">
      <div className="dock-controls">
        <Select
          size="xs"
          aria-label="What to send through"
          data-testid="run-source"
          value={source}
          onChange={(value) => setSource((sources.find((known) => known === value) ?? source))}
          data={sources.map((value) => ({ value, label: SOURCE_LABELS[value] }))}
          allowDeselect={false}
          disabled={running}
          comboboxProps={{ position: "top-start" }}
        />
        {source === "files" && (
          <FileButton multiple accept="image/*,.npz,.npy,.pb" onChange={setFiles} inputProps={{ "aria-label": "Files to run", ...{ "data-testid": "run-files" } }}>
            {(props) => (
              <Button {...props} size="xs" variant="default" disabled={running}>
                {files.length > 0 ? plural(files.length, "file") : "Choose files…"}
              </Button>
            )}
          </FileButton>
        )}
        <Switch size="xs" label="Repeat" checked={repeat} onChange={(event) => setRepeat(event.currentTarget.checked)} disabled={running} data-testid="run-repeat" />
        <div className="dock-buttons">
          {running ? (
            <Button size="xs" variant="default" className="stop-run" leftSection={<IconPlayerStopFilled size={13} />} loading={busy === "stop"} onClick={stopRun} data-testid="run-stop">
              Stop run
            </Button>
          ) : (
            <Button size="xs" leftSection={<IconPlayerPlayFilled size={13} />} loading={busy === "run"} disabled={!ready} onClick={start} data-testid="run-start">
              Run
            </Button>
          )}
          <Button
            size="xs"
            variant="default"
            leftSection={<IconPower size={13} />}
            loading={busy === "end" || deployment.state === "stopping"}
            onClick={end}
            data-testid="stop-deployment"
            title="End the deployment: its run, its stages and its agents"
          >
            Stop deployment
          </Button>
        </div>
        <Tabs tab={tab} choose={setTab} />
      </div>
      {problem && <ProblemCard problem={problem} />}
      {run?.problem && <ProblemCard problem={run.problem} />}
      <div className="dock-tab" role="tabpanel" id={`run-${tab}`} aria-label={TAB_TITLES[tab]}>
        {tab === "results" && (
          <>
            <Figures run={run} prediction={prediction} />
            <div className="dock-results">
              <Results model={model} run={run} />
            </div>
          </>
        )}
        {tab === "compare" && <Compared deployment={deployment} run={run} prediction={prediction} />}
        {tab === "way" && <FrameWay run={run} />}
      </div>
    </section>
  );
}

/** Arrow keys go from one to the next, as in every row of tabs. */
function Tabs({ tab, choose }: { tab: Tab; choose: (tab: Tab) => void }) {
  const move = (event: React.KeyboardEvent) => {
    const by = event.key === "ArrowRight" ? 1 : event.key === "ArrowLeft" ? TABS.length - 1 : 0;
    const next = TABS[(TABS.indexOf(tab) + by) % TABS.length];
    if (by === 0 || next === undefined) return;
    choose(next);
    event.currentTarget.querySelector<HTMLElement>(`[data-tab="${next}"]`)?.focus();
  };
  return (
    <div role="tablist" aria-label="What of the run" className="dock-tabs" onKeyDown={move}>
      {TABS.map((name) => (
        <button key={name} type="button" role="tab" aria-selected={tab === name} aria-controls={tab === name ? `run-${name}` : undefined} tabIndex={tab === name ? 0 : -1} onClick={() => choose(name)} data-tab={name} data-testid={`live-tab-${name}`}>
          {TAB_TITLES[name]}
        </button>
      ))}
    </div>
  );
}

function Predicted({ predicted, measured, format }: { predicted: number | null | undefined; measured: number | null | undefined; format: (value: number) => string }) {
  if (predicted == null) return null;
  const change = changeWords(predicted, measured ?? null);
  return (
    <dd className="figure-predicted" title={change === null ? undefined : `Measured is ${change} of the predicted`}>
      predicted {format(predicted)}
    </dd>
  );
}

function Figures({ run, prediction }: { run: Run | null; prediction: Prediction | null }) {
  const absent = "–";
  const busiest = usePipeline(({ now }) => (now && now.framesPerS > 0 ? (now.loads[0] ?? null) : null));
  return (
    <dl className="figures" aria-label="Figures of the run">
      <div className="figure-main">
        <dt>Frames/s</dt>
        <dd data-testid="fps">{run?.frames_per_s == null ? absent : formatFps(run.frames_per_s)}</dd>
        <Predicted predicted={prediction?.throughput_per_s} measured={run?.frames_per_s} format={formatFps} />
      </div>
      <div>
        <dt>Latency, median</dt>
        <dd data-testid="latency-p50">{run?.latency_p50_s == null ? absent : formatDuration(run.latency_p50_s)}</dd>
        <Predicted predicted={prediction?.latency_s} measured={run?.latency_p50_s} format={formatDuration} />
      </div>
      <div>
        <dt>95th percentile</dt>
        <dd data-testid="latency-p95">{run?.latency_p95_s == null ? absent : formatDuration(run.latency_p95_s)}</dd>
      </div>
      <div>
        <dt>Delivered</dt>
        <dd data-testid="delivered">{run?.delivered ?? absent}</dd>
      </div>
      <div className={run && run.lost > 0 ? "is-bad" : ""}>
        <dt>Lost</dt>
        <dd data-testid="lost">{run?.lost ?? absent}</dd>
      </div>
      <div>
        <dt>Energy</dt>
        <dd className="figure-words">
          <RunEnergy run={run} />
        </dd>
      </div>
      <div className="figure-busiest">
        <dt>Busiest now</dt>
        <dd className="figure-words" data-testid="bottleneck">
          {busiest === null ? absent : `${busiest.name.replace("->", " → ")}, ${formatPercent(Math.min(busiest.share, 1))}`}
        </dd>
      </div>
      <div className="figure-state">
        <dt>State</dt>
        <dd className="figure-words" data-testid="run-state">
          {run ? `${run.state}, ${formatElapsed(run.elapsed_s)}` : "not run yet"}
        </dd>
      </div>
    </dl>
  );
}

function Results({ model, run }: { model: Model; run: Run | null }) {
  if (!run) return <p className="dock-empty">Press Run to send frames through the devices. Results appear here, the newest first.</p>;
  if (run.recent.length === 0) return <p className="dock-empty">{run.state === "running" ? "Waiting for the first result…" : "No results."}</p>;
  return (
    <ol className="results" aria-label="Results, newest first">
      {run.recent.slice(0, 24).map((result, i) => (
        <Result key={result.frame} result={result} place={i} image={thumbnailOf(model, run, result.input_name)} random={run.source === "random"} />
      ))}
    </ol>
  );
}

function Result({ result, place, image, random }: { result: FrameResult; place: number; image: string | null; random: boolean }) {
  const best = result.classes[0];
  const shapes = Object.entries(result.outputs).map(([name, shape]) => `${name} ${shape.join("×")}`);
  const Icon = random ? IconWaveSine : IconPhoto;
  // The studio may be away.
  const [missing, setMissing] = useState(false);
  return (
    <li className="result" data-testid={`result-${place}`} title={`Frame ${result.frame}, ${result.input_name}\n${result.classes.slice(0, 5).map(({ label, score }) => `${label} ${formatPercent(score)}`).join("\n")}`}>
      {image === null || missing ? (
        <span className="result-blank">
          <Icon size={22} stroke={1.4} aria-hidden />
        </span>
      ) : (
        <img src={image} alt={result.input_name} width={56} height={56} onError={() => setMissing(true)} />
      )}
      <span className="result-class" data-testid={`result-class-${place}`}>
        {best ? best.label : (shapes[0] ?? "output")}
      </span>
      <span className="result-note">
        {best ? `${formatPercent(best.score)} · ` : ""}
        {formatDuration(result.latency_s)}
      </span>
    </li>
  );
}
