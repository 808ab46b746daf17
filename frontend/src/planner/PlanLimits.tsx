/** What limits the open plan: its bottleneck, how busy everything is, what each device spends, and the change that brings most. */
import { Button } from "@mantine/core";
import { IconArrowBigUpLines } from "@tabler/icons-react";
import { useEffect, useMemo } from "react";
import type { Model } from "@/api/types";
import { formatBytes, formatDuration, formatPercent, plural } from "@/app/format";
import { ProblemCard } from "@/app/ProblemCard";
import { DeviceSign } from "@/devices/DeviceSign";
import { useMarks } from "@/devices/marks";
import { flash, viewStore } from "@/editor/view";
import { usePlan, replacePlan } from "@/plan/store";
import { endPreview, showPreview } from "@/plan/preview";
import { joulesOr } from "@/power/words";
import { takenOver } from "./applied";
import { blameOf } from "./blame";
import { GanttChart } from "./GanttChart";
import { ProfileFirst } from "./ProfileFirst";
import type { NextMove, Prediction, Resource } from "./types";
import type { Predicted } from "./usePrediction";
import { besidesEstimates, bottleneckWords, capitalised, changeWords, formatBusy, formatValue, resourceLabel, resourceWords } from "./words";

const SHOWN_RESOURCES = 7;

interface PlanLimitsProps {
  model: Model;
  predicted: Predicted;
  /** Why nothing can be predicted; null where it can. */
  reason: string | null;
}

export function PlanLimits({ model, predicted, reason }: PlanLimitsProps) {
  const { prediction, before, more, current, problem } = predicted;
  const blame = useMemo(() => (prediction && current ? blameOf(prediction.bottleneck) : null), [prediction, current]);
  useEffect(() => {
    viewStore.setState({ blame });
    return () => viewStore.setState({ blame: null });
  }, [blame]);
  const warnings = besidesEstimates(prediction?.warnings ?? []);
  if (reason !== null) return <p className="planner-empty">{reason}</p>;
  return (
    <div className="plan-limits" data-testid="plan-limits">
      {problem && <ProblemCard problem={problem} />}
      {!prediction && !problem && <p className="planner-empty">Predicting…</p>}
      {prediction && (
        <div className={current ? "" : "is-dim"}>
          <Figures prediction={prediction} before={current ? before : null} />
          <p className="limits-bottleneck" data-testid="bottleneck">
            {bottleneckWords(prediction.bottleneck)} Only what relieves it makes the plan faster.
          </p>
          {more?.next_move && <Next move={more.next_move} current={prediction} />}
          {prediction.estimated && <ProfileFirst model={model} prediction={prediction} />}
          <h3>Busiest</h3>
          <Resources resources={prediction.resources} />
          <h3>Devices</h3>
          <Devices prediction={prediction} />
          {warnings.length > 0 && (
            <ul className="planner-notes" aria-label="Warnings">
              {warnings.map((warning) => (
                <li key={warning}>{warning}</li>
              ))}
            </ul>
          )}
          {more?.gantt && (
            <>
              <h3>The first frames</h3>
              <GanttChart gantt={more.gantt} />
            </>
          )}
        </div>
      )}
    </div>
  );
}

function Figures({ prediction, before }: { prediction: Prediction; before: Prediction | null }) {
  const throughput = changeWords(before?.throughput_per_s ?? null, prediction.throughput_per_s);
  const latency = changeWords(before?.latency_s ?? null, prediction.latency_s);
  return (
    <dl className="limits-figures">
      <div>
        <dt>Throughput</dt>
        <dd data-testid="predicted-throughput">
          {formatValue("throughput", prediction.throughput_per_s)}
          {before && throughput !== null && <small>{throughput} from {formatValue("throughput", before.throughput_per_s)}</small>}
        </dd>
      </div>
      <div>
        <dt>One frame alone</dt>
        <dd>
          {formatDuration(prediction.latency_s)}
          {before && latency !== null && <small>{latency} from {formatDuration(before.latency_s)}</small>}
        </dd>
      </div>
    </dl>
  );
}

function Resources({ resources }: { resources: readonly Resource[] }) {
  return (
    <ul className="limits-bars" data-testid="busiest">
      {resources.slice(0, SHOWN_RESOURCES).map((resource, i) => (
        <li key={`${resource.kind} ${resource.name}`} className={i === 0 ? "is-bottleneck" : ""}>
          <span title={capitalised(resourceWords(resource))}>{resourceLabel(resource)}</span>
          <span className="meter-track" aria-hidden>
            <span style={{ width: `${Math.min(resource.utilisation, 1) * 100}%` }} />
          </span>
          <span>{formatPercent(resource.utilisation)}</span>
          <span>{formatBusy(resource.busy_s)}</span>
        </li>
      ))}
    </ul>
  );
}

function Devices({ prediction }: { prediction: Prediction }) {
  const marks = useMarks();
  return (
    <table className="plain-table limits-devices">
      <thead>
        <tr>
          <th scope="col">Device</th>
          <th scope="col">Busy</th>
          <th scope="col" title="For each frame">Energy</th>
          <th scope="col">Memory</th>
        </tr>
      </thead>
      <tbody>
        {prediction.devices.map(({ device, utilisation, energy_j, memory_bytes, memory_limit_bytes, estimated, compute_s, carry_s, coding_s }) => {
          const over = memory_limit_bytes !== null && memory_bytes > memory_limit_bytes;
          return (
            <tr key={device}>
              <th scope="row">
                <DeviceSign mark={marks.get(device) ?? null} /> {device}
              </th>
              <td title={`Computing ${formatDuration(compute_s)}, sending and receiving ${formatDuration(carry_s)}, codecs ${formatDuration(coding_s)} for each frame`}>{formatPercent(utilisation)}</td>
              <td className={estimated.includes("power") ? "is-estimate" : ""}>{joulesOr(energy_j)}</td>
              <td className={over ? "is-over" : ""}>
                {formatBytes(memory_bytes)}
                {memory_limit_bytes !== null && <small>of {formatBytes(memory_limit_bytes)}</small>}
              </td>
            </tr>
          );
        })}
      </tbody>
    </table>
  );
}

function Next({ move, current }: { move: NextMove; current: Prediction }) {
  const content = usePlan((whole) => whole);
  useEffect(() => endPreview, []);
  const look = () => showPreview(takenOver(content, move.plan), move.text);
  const apply = () => {
    endPreview();
    const { layers } = replacePlan(takenOver(content, move.plan), move.text);
    flash("", `${plural(layers, "layer")} changed: ${formatValue("throughput", move.throughput_per_s)} predicted`);
  };
  return (
    <section className="next-move" data-testid="next-move" onPointerEnter={look} onPointerLeave={endPreview}>
      <p>{capitalised(move.text)}.</p>
      <div>
        <Button size="compact-xs" leftSection={<IconArrowBigUpLines size={13} />} onFocus={look} onBlur={endPreview} onClick={apply} data-testid="next-move-apply">
          Do it
        </Button>
        <span>
          <b>{changeWords(current.throughput_per_s, move.throughput_per_s) ?? "as many"}</b>: {formatValue("throughput", move.throughput_per_s)}
        </span>
      </div>
    </section>
  );
}
