/** The front as a chart: each point is a plan, reached by mouse or arrow keys, looked at by resting on it, opened by a press. */
import { useRef, useState, type KeyboardEvent } from "react";
import { formatFps } from "@/app/format";
import { AXIS_WORDS, formatOn, labelOf, neighbour, otherAxis, plotFront, type Axis, type FrontPoint, type Mark, type PointKind } from "./front";

const WIDTH = 310;
const HEIGHT = 220;
/** Points lie close: what reaches further would hide its neighbours from the pointer. */
const REACH = 9;

interface ParetoChartProps {
  points: readonly FrontPoint[];
  axis: Axis;
  /** The point that is looked at; null: none. */
  look: (point: FrontPoint | null) => void;
  open: (point: FrontPoint) => void;
}

export function ParetoChart({ points, axis, look, open }: ParetoChartProps) {
  const { x, y, marks } = plotFront(points, axis, WIDTH, HEIGHT);
  const box = useRef<SVGSVGElement>(null);
  const [stop, setStop] = useState<string | null>(null);
  const first = marks.find(({ point }) => point.id === stop) ?? marks.find(({ point }) => point.kind === "front") ?? marks[0];
  const key = (event: KeyboardEvent, mark: Mark) => {
    if (event.key === "Enter" || event.key === " ") open(mark.point);
    else {
      const next = neighbour(marks, mark.point.id, event.key);
      if (!next) return;
      box.current?.querySelector<SVGGElement>(`[data-point="${CSS.escape(next.point.id)}"]`)?.focus();
    }
    event.preventDefault();
    event.stopPropagation();
  };
  return (
    <svg ref={box} className="front-chart" viewBox={`-58 -10 ${WIDTH + 70} ${HEIGHT + 48}`} role="group" aria-label={`Plans by throughput and ${AXIS_WORDS[axis].toLowerCase()}. Arrow keys go from point to point, Enter opens a plan.`} data-testid="front-chart">
      <g aria-hidden>
        {y.ticks.map((value) => (
          <g key={value} className="tick">
            <line x1={0} x2={WIDTH} y1={HEIGHT - y.place(value)} y2={HEIGHT - y.place(value)} />
            <text x={-7} y={HEIGHT - y.place(value) + 4} textAnchor="end">
              {formatOn(axis, value)}
            </text>
          </g>
        ))}
        {x.ticks.map((value) => (
          <g key={value} className="tick">
            <line x1={x.place(value)} x2={x.place(value)} y1={HEIGHT} y2={HEIGHT + 4} />
            <text x={x.place(value)} y={HEIGHT + 17} textAnchor="middle">
              {value === 0 ? "0" : value >= 10 ? value.toFixed(0) : formatFps(value)}
            </text>
          </g>
        ))}
        <line className="axis" x1={0} x2={WIDTH} y1={HEIGHT} y2={HEIGHT} />
        <text className="axis-title" x={WIDTH} y={HEIGHT + 33} textAnchor="end">
          frames/s →
        </text>
      </g>
      {marks.map((mark) => (
        <g
          key={mark.point.id}
          className={`front-point is-${mark.point.kind}`}
          transform={`translate(${mark.x.toFixed(1)} ${mark.y.toFixed(1)})`}
          role="button"
          tabIndex={mark === first ? 0 : -1}
          aria-label={labelOf(mark.point)}
          data-point={mark.point.id}
          data-testid={`point-${mark.point.kind}`}
          onClick={() => open(mark.point)}
          onKeyDown={(event) => key(event, mark)}
          onFocus={() => {
            setStop(mark.point.id);
            look(mark.point);
          }}
          onBlur={() => look(null)}
          onPointerEnter={() => look(mark.point)}
          onPointerLeave={() => look(null)}
        >
          <circle className="point-reach" r={Math.max(REACH, mark.radius)} />
          <Sign kind={mark.point.kind} radius={mark.radius} title={mark.point.title} />
        </g>
      ))}
    </svg>
  );
}

/** Told apart by shape, not by colour alone. */
function Sign({ kind, radius, title }: { kind: PointKind; radius: number; title: string }) {
  if (kind === "front") return <circle className="point-sign" r={radius} />;
  if (kind === "current") return <path className="point-sign" d={`M0 ${-radius - 2} ${radius + 2} 0 0 ${radius + 2} ${-radius - 2} 0z`} />;
  return title.includes("single") ? <rect className="point-sign" x={-radius * 0.9} y={-radius * 0.9} width={radius * 1.8} height={radius * 1.8} /> : <path className="point-sign" d={`M0 ${-radius - 1} ${radius + 1} ${radius} ${-radius - 1} ${radius}z`} />;
}

/** What the shapes are, and what their size tells. */
export function ChartLegend({ points, axis }: { points: readonly FrontPoint[]; axis: Axis }) {
  const others = points.filter(({ kind }) => kind !== "front");
  return (
    <ul className="front-legend">
      <li>
        <LegendSign kind="front" title="" /> best trade-offs
      </li>
      {others.map(({ id, kind, title }) => (
        <li key={id}>
          <LegendSign kind={kind} title={title} /> {title}
        </li>
      ))}
      <li className="front-size">larger: {otherAxis(axis) === "memory" ? "more memory" : "more energy"}</li>
    </ul>
  );
}

function LegendSign({ kind, title }: { kind: PointKind; title: string }) {
  return (
    <svg className={`front-point is-${kind}`} width={14} height={14} viewBox="-8 -8 16 16" aria-hidden>
      <Sign kind={kind} radius={5} title={title} />
    </svg>
  );
}
