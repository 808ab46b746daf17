/** Trade-offs: the plans of which none is better in everything, as a chart that fills while they are found. */
import { Button, SegmentedControl, Switch } from "@mantine/core";
import { IconChartDots3 } from "@tabler/icons-react";
import { useEffect, useState } from "react";
import type { Device, Model } from "@/api/types";
import { formatBytes, plural } from "@/app/format";
import { HeadRow } from "@/app/HeadRow";
import { ProblemCard } from "@/app/ProblemCard";
import type { Network } from "@/graph/network";
import { endPreview, showPreview } from "@/plan/preview";
import { planStore } from "@/plan/store";
import { SaveAnswer } from "@/plans/SaveAnswer";
import { joulesOr } from "@/power/words";
import { takenOver } from "./applied";
import { openAnswer } from "./BestPlan";
import { figuresOf, pointsOf, plotFront, usableAxis, type Axis, type FrontPoint } from "./front";
import { ChartLegend, ParetoChart } from "./ParetoChart";
import { QuestionFields, SecondsField } from "./QuestionFields";
import { chosenDevices, limitCount, plannable } from "./question";
import { SearchState } from "./SearchState";
import { usePlanner } from "./store";
import type { Prediction, Search } from "./types";
import { useAsking, type Searching } from "./useSearch";
import { capitalised, formatValue } from "./words";

interface TradeOffsProps {
  model: Model;
  network: Network;
  devices: readonly Device[];
  searching: Searching;
  /** Of the open plan, which is always in the chart. */
  current: Prediction | null;
}

export function TradeOffs({ model, network, devices, searching, current }: TradeOffsProps) {
  const form = usePlanner((state) => state.form);
  const { sending, refused, ask } = useAsking(model, "front");
  const { going, search } = searching;
  const names = plannable(devices);
  const limits = limitCount(form, names);
  const found = search?.front.length ?? 0;
  return (
    <div className="planner-tab">
      <form
        className="planner-form"
        onSubmit={(event) => {
          event.preventDefault();
          ask(form, names);
        }}
      >
        {found === 0 && (
          <p className="planner-what">Plans of which none has more frames per second, less energy on the device that takes most, and less memory on the one that needs most, all at once.</p>
        )}
        <details className="planner-fold">
          <summary>
            Devices, limits, strategies{limits > 0 && `: ${plural(limits, "limit")}`}
          </summary>
          <QuestionFields devices={devices} network={network} />
        </details>
        <footer className="planner-start">
          <SecondsField />
          <Button size="xs" type="submit" leftSection={<IconChartDots3 size={14} />} loading={sending} disabled={going || chosenDevices(form, names).length === 0} data-testid="front-start">
            Find the trade-offs
          </Button>
        </footer>
      </form>
      {refused && <ProblemCard problem={refused} />}
      {!refused && <SearchState searching={searching} found={found === 0 ? null : plural(found, "plan")} />}
      {search && (found > 0 || search.baselines.length > 0) && <Front model={model} search={search} current={current} />}
    </div>
  );
}

/** What was found where a point stands; nothing for the open plan. */
const sourceOf = ({ plan }: FrontPoint, { front, baselines }: Search) => (plan === null ? undefined : [...front, ...baselines].find((one) => one.plan === plan));

function KeepPoint({ model, search, point }: { model: Model; search: Search; point: FrontPoint }) {
  const source = sourceOf(point, search);
  return source ? <SaveAnswer model={model} answer={source} what={point.kind === "front" ? "Trade-off" : capitalised(point.title)} words="Save" /> : null;
}

/** Opens the plan of a point; the one that is open has nothing to open. */
function openPoint(point: FrontPoint, search: Search): void {
  const { title, kind } = point;
  const source = sourceOf(point, search);
  if (source) openAnswer(source, kind === "front" ? "Trade-off" : capitalised(title));
}

function Front({ model, search, current }: { model: Model; search: Search; current: Prediction | null }) {
  const [asked, setAsked] = useState<Axis>("energy");
  const [looked, setLooked] = useState<string | null>(null);
  const [compared, setCompared] = useState(true);
  const points = pointsOf(compared ? search : { front: search.front, baselines: [] }, current);
  const axis = usableAxis(asked, points);
  const point = points.find(({ id }) => id === looked) ?? null;
  const { missing } = plotFront(points, axis, 1, 1);
  useEffect(() => endPreview, []);
  // A point that another one beats goes away under the pointer.
  const gone = looked !== null && point === null;
  useEffect(() => {
    if (gone) endPreview();
  }, [gone]);
  const look = (next: FrontPoint | null) => {
    // The pointer tells of each of its moves.
    if ((next?.id ?? null) === looked) return;
    setLooked(next?.id ?? null);
    if (next?.plan) showPreview(takenOver(planStore.getState().content, next.plan), `${capitalised(next.title)}, ${formatValue("throughput", next.throughput)}`);
    else endPreview();
  };
  return (
    <figure className="front" data-testid="front">
      <div className="front-choice">
        <SegmentedControl
          size="xs"
          aria-label="Upwards"
          value={axis}
          onChange={(value) => setAsked(value === "memory" ? "memory" : "energy")}
          data={[
            { value: "energy", label: "↑ Energy", disabled: usableAxis("energy", points) !== "energy" },
            { value: "memory", label: "↑ Memory" },
          ]}
          data-testid="front-axis"
        />
        <Switch size="xs" label="Baselines" title="Without them there is more room for the trade-offs" checked={compared} onChange={() => setCompared(!compared)} disabled={search.front.length === 0} data-testid="front-baselines" />
      </div>
      <ParetoChart points={points} axis={axis} looked={looked} look={look} open={(one) => openPoint(one, search)} />
      <p className="front-readout" data-testid="front-readout">
        {point ? (
          <>
            <b>{capitalised(point.title)}</b> {figuresOf(point)}
            {point.estimated && <span className="tag">estimated</span>}
          </>
        ) : (
          "Rest near a point to see its plan on the graph; press to open the plan. Undo brings yours back."
        )}
      </p>
      <ChartLegend points={points} axis={axis} />
      {axis !== asked && <p className="hint">The power of no device is known: memory goes upwards instead of energy.</p>}
      {axis === asked && missing > 0 && <p className="hint">{plural(missing, "plan")} not shown: a power is not known.</p>}
      <details className="planner-fold">
        <summary>As a table</summary>
        <FrontTable model={model} search={search} points={points} looked={looked} look={look} open={(one) => openPoint(one, search)} />
      </details>
    </figure>
  );
}

interface FrontTableProps {
  model: Model;
  search: Search;
  points: readonly FrontPoint[];
  looked: string | null;
  look: (point: FrontPoint | null) => void;
  open: (point: FrontPoint) => void;
}

/** The same points in a list, looked at and opened likewise. */
function FrontTable({ model, search, points, looked, look, open }: FrontTableProps) {
  return (
    <div className="table-scroll">
      <table className="plain-table" data-testid="front-table">
        <HeadRow titles={["Plan", "Frames/s", "Energy", "Memory", "Devices", "Keep"]} />
        <tbody>
          {points.map((point) => (
            <tr key={point.id} className={point.id === looked ? "is-looked" : ""} onPointerEnter={() => look(point)} onPointerLeave={() => look(null)}>
              <th scope="row">
                {point.plan === null ? (
                  capitalised(point.title)
                ) : (
                  <button type="button" className="link" onFocus={() => look(point)} onBlur={() => look(null)} onClick={() => open(point)}>
                    {capitalised(point.title)}
                  </button>
                )}
              </th>
              <td>{formatValue("throughput", point.throughput).replace(" frames/s", "")}</td>
              <td>{joulesOr(point.energy)}</td>
              <td>{formatBytes(point.memory)}</td>
              <td>{point.devices}</td>
              <td>
                <KeepPoint model={model} search={search} point={point} />
              </td>
            </tr>
          ))}
        </tbody>
      </table>
    </div>
  );
}
