/** Below the devices: what is predicted of the plan, in one line, and the way to why. */
import { formatDuration } from "@/app/format";
import { openPlanner } from "./store";
import type { Predicted } from "./usePrediction";
import { changeWords, formatValue, resourceWords } from "./words";

interface PlanFiguresProps {
  predicted: Predicted;
  /** Where there is room for one figure only. */
  short: boolean;
}

export function PlanFigures({ predicted: { prediction, before, current }, short }: PlanFiguresProps) {
  if (!prediction) return null;
  const { throughput_per_s: throughput, latency_s: latency, bottleneck, estimated } = prediction;
  if (short) {
    return (
      <button type="button" className={current ? "rail-figure" : "rail-figure is-dim"} title={`Predicted; limited by ${resourceWords(bottleneck)}`} onClick={() => openPlanner("plan")} data-testid="rail-figure">
        <span className="visually-hidden">Predicted: </span>
        <b>{formatValue("throughput", throughput).replace(" frames/s", "")}</b> <span>frames/s</span>
        <span className="visually-hidden">
          , {formatDuration(latency)} for one frame{estimated ? ", estimated" : ""}, limited by {resourceWords(bottleneck)}
        </span>
      </button>
    );
  }
  const change = before === null ? null : changeWords(before.throughput_per_s, throughput);
  return (
    <section className={current ? "plan-figures" : "plan-figures is-dim"} data-testid="plan-figures" aria-label="Prediction of the plan">
      <p>
        <span>Predicted</span>
        <b>{formatValue("throughput", throughput)}</b>
        {current && change !== null && <i className={throughput > (before?.throughput_per_s ?? 0) ? "is-better" : "is-worse"}>{change}</i>}
        <span title="Time of one frame that is alone">{formatDuration(latency)}</span>
      </p>
      <p>
        <button type="button" className="link" onClick={() => openPlanner("plan")} data-testid="why">
          limited by {resourceWords(bottleneck)}
        </button>
        {estimated && (
          <span className="tag" title="Rests on figures that were not measured">
            est.
          </span>
        )}
      </p>
    </section>
  );
}
