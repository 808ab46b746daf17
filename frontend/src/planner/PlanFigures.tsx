/** Below the devices: the figures of the plan, old beside new, and the way to why. */
import type { Device, Model } from "@/api/types";
import { formatDuration } from "@/app/format";
import { CutChanges } from "@/editor/CutChanges";
import { useOutcome } from "@/editor/outcome";
import { figureRows, passingChanges, withoutUnit, type FigureRow } from "@/plan/changes";
import { ProfilePress } from "./ProfilePress";
import { profiledWhere } from "./profiling";
import { openPlanner } from "./store";
import type { Prediction } from "./types";
import { formatValue, resourceWords } from "./words";

interface PlanFiguresProps {
  model: Model;
  devices: readonly Device[];
  /** The studio's newest, whatever plan it is of. */
  prediction: Prediction | null;
  /** Why nothing can be predicted; null where it can. */
  reason: string | null;
  /** Where there is room for one figure only. */
  short: boolean;
}

const CHANGE_CLASSES = { true: "is-better", false: "is-worse", null: "" } as const;

export function PlanFigures({ model, devices, prediction, reason, short }: PlanFiguresProps) {
  const outcome = useOutcome();
  if (!outcome || devices.length === 0) return null;
  const { before, now, settled, isTrial } = outcome;
  const { throughput, latency, bottleneck } = now;
  if (short) {
    if (throughput === null || latency === null || !bottleneck) return null;
    return (
      <button type="button" className={settled ? "rail-figure" : "rail-figure is-dim"} title={`Predicted; limited by ${resourceWords(bottleneck)}`} onClick={() => openPlanner("plan")} data-testid="rail-figure">
        <span className="visually-hidden">Predicted: </span>
        <b>{formatValue("throughput", throughput).replace(" frames/s", "")}</b> <span>frames/s</span>
        <span className="visually-hidden">
          , {formatDuration(latency)} for one frame{now.estimated ? ", estimated" : ""}, limited by {resourceWords(bottleneck)}
        </span>
      </button>
    );
  }
  return (
    <section className={settled ? "plan-figures" : "plan-figures is-dim"} data-testid="plan-figures" data-settled={settled} aria-label="Figures of the plan">
      <dl>
        {figureRows(before, now).map((row) => (
          <Row key={row.name} row={row} />
        ))}
      </dl>
      {/* While layers are in the hand, the ghost tells it: what is dropped on does not move. */}
      {!isTrial && <CutChanges changes={passingChanges(before, now)} />}
      <p>
        {bottleneck ? (
          <button type="button" className="link" onClick={() => openPlanner("plan")} data-testid="why">
            limited by {resourceWords(bottleneck)}
          </button>
        ) : (
          <span>{reason !== null && throughput === null ? "Predicted once all layers are placed." : "Predicting…"}</span>
        )}
        {bottleneck && now.estimated && (
          <span className="tag" title="Rests on figures that were not measured">
            est.
          </span>
        )}
        {now.estimated && prediction && <ProfilePress model={model} devices={profiledWhere(prediction)} />}
      </p>
    </section>
  );
}

function Row({ row: { title, what, old, now, change, isBetter } }: { row: FigureRow }) {
  return (
    <div title={what}>
      <dt>{title}</dt>
      <dd>
        {old !== null && (
          <>
            <s>
              <span className="visually-hidden">was </span>
              {withoutUnit(old, now)}
            </s>
            <span aria-hidden> → </span>
          </>
        )}
        <b>{now}</b>
      </dd>
      <dd className={`figure-change ${CHANGE_CLASSES[`${isBetter}`]}`}>{change !== null && `${change} ${isBetter ? "better" : "worse"}`}</dd>
    </div>
  );
}
