/** The run of a deployment: what goes in, how fast it comes out, and the results. */
import { Button, FileButton, Select, Switch } from "@mantine/core";
import { IconPhoto, IconPlayerPlayFilled, IconPlayerStopFilled, IconPower, IconWaveSine } from "@tabler/icons-react";
import { useState } from "react";
import { asProblem, call, client, postForm, type Problem } from "@/api/client";
import { rememberDeployment } from "@/api/queries";
import type { Deployment, FrameResult, Model, Run } from "@/api/types";
import { formatDuration, formatElapsed, formatFps, formatPercent, plural } from "@/app/format";
import { ProblemCard } from "@/app/ProblemCard";
import { recordRun } from "@/live/store";
import { RunEnergy } from "./RunEnergy";
import { thumbnailOf, rememberFiles } from "./thumbnails";

type Source = Run["source"];

const SOURCE_LABELS: Record<Source, string> = { samples: "Sample images", files: "Files…", random: "Random input" };

interface RunDockProps {
  model: Model;
  deployment: Deployment;
  run: Run | null;
}

export function RunDock({ model, deployment, run }: RunDockProps) {
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

  return (
    <section className="dock" aria-label="Run">
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
            Stop
          </Button>
        </div>
      </div>
      <Figures run={run} />
      <div className="dock-results">
        {problem && <ProblemCard problem={problem} />}
        {run?.problem && <ProblemCard problem={run.problem} />}
        <Results model={model} run={run} />
      </div>
    </section>
  );
}

function Figures({ run }: { run: Run | null }) {
  const absent = "–";
  return (
    <dl className="figures" aria-label="Figures of the run">
      <div className="figure-main">
        <dt>Frames/s</dt>
        <dd data-testid="fps">{run?.frames_per_s == null ? absent : formatFps(run.frames_per_s)}</dd>
      </div>
      <div>
        <dt>Latency, median</dt>
        <dd data-testid="latency-p50">{run?.latency_p50_s == null ? absent : formatDuration(run.latency_p50_s)}</dd>
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
  return (
    <li className="result" data-testid={`result-${place}`} title={`Frame ${result.frame}, ${result.input_name}\n${result.classes.slice(0, 5).map(({ label, score }) => `${label} ${formatPercent(score)}`).join("\n")}`}>
      {image === null ? (
        <span className="result-blank">
          <Icon size={22} stroke={1.4} aria-hidden />
        </span>
      ) : (
        <img src={image} alt={result.input_name} width={56} height={56} />
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
