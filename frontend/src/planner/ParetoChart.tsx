/** The front as a chart: each point is a plan, reached by mouse or arrow keys, looked at by resting near it, opened by a press. */
import { useElementSize } from "@mantine/hooks";
import { useRef, useState, type KeyboardEvent, type MouseEvent } from "react";
import { formatFps } from "@/app/format";
import { AXIS_WORDS, formatOn, isAside, labelOf, nearest, neighbour, otherAxis, plotFront, type Axis, type FrontPlot, type FrontPoint, type Mark, type PointKind } from "./front";
import { radiusOf } from "./scale";

const HEIGHT = 210;
/** Around the plot: the figures of the axes. */
const LEFT = 56;
const RIGHT = 14;
const LEAST_WIDTH = 180;
/** From so far a pointer picks the nearest point, and a finger too. */
const REACH = 32;

interface ParetoChartProps {
  points: readonly FrontPoint[];
  axis: Axis;
  /** The point that is looked at; null: none. */
  looked: string | null;
  look: (point: FrontPoint | null) => void;
  open: (point: FrontPoint) => void;
}

export function ParetoChart({ points, axis, looked, look, open }: ParetoChartProps) {
  const { ref, width: room } = useElementSize();
  const width = Math.max(room - LEFT - RIGHT, LEAST_WIDTH);
  const plot = plotFront(points, axis, width, HEIGHT);
  const { marks } = plot;
  const box = useRef<SVGSVGElement>(null);
  const [stop, setStop] = useState<string | null>(null);
  const first = marks.find(({ point }) => point.id === stop) ?? marks.find(({ point }) => point.kind === "front") ?? marks[0];
  const shown = marks.find(({ point }) => point.id === looked);
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
  const under = (event: MouseEvent): Mark | null => {
    const matrix = box.current?.getScreenCTM();
    return matrix ? nearest(marks, new DOMPoint(event.clientX, event.clientY).matrixTransform(matrix.inverse()), REACH) : null;
  };
  const press = (event: MouseEvent) => {
    // What presses without a pointer, as screen readers do, means the point itself.
    const named = event.detail === 0 && event.target instanceof Element ? event.target.closest<SVGGElement>("[data-point]")?.dataset["point"] : undefined;
    const mark = named === undefined ? under(event) : marks.find(({ point }) => point.id === named);
    if (mark) open(mark.point);
  };
  return (
    <div ref={ref}>
      <svg
        ref={box}
        className={shown ? "front-chart is-looking" : "front-chart"}
        viewBox={`${-LEFT} -12 ${width + LEFT + RIGHT} ${HEIGHT + 48}`}
        role="group"
        aria-label={`Plans by throughput and ${AXIS_WORDS[axis].toLowerCase()}. Arrow keys go from point to point, Enter opens a plan.`}
        onPointerMove={(event) => look(under(event)?.point ?? null)}
        onPointerLeave={() => look(null)}
        onClick={press}
        data-testid="front-chart"
      >
        <Strips plot={plot} width={width} />
        <Axes plot={plot} axis={axis} width={width} />
        {/* The smaller ones lie above the larger ones. */}
        {[...marks].sort((a, b) => b.radius - a.radius).map((mark) => (
          <g
            key={mark.point.id}
            className={`front-point is-${mark.point.kind}`}
            role="button"
            tabIndex={mark === first ? 0 : -1}
            aria-label={labelOf(mark.point)}
            data-point={mark.point.id}
            data-testid={`point-${mark.point.kind}`}
            onKeyDown={(event) => key(event, mark)}
            onFocus={() => {
              setStop(mark.point.id);
              look(mark.point);
            }}
            onBlur={() => look(null)}
          >
            {isAside(mark) && <line className="point-leader" x1={mark.own.x} y1={mark.own.y} x2={mark.x} y2={mark.y} />}
            <g transform={`translate(${mark.x.toFixed(1)} ${mark.y.toFixed(1)})`}>
              <circle className="point-reach" r={mark.radius + 3} />
              <Sign kind={mark.point.kind} radius={mark.radius} title={mark.point.title} />
            </g>
          </g>
        ))}
        {marks.map((mark) => mark.far !== null && mark !== shown && <FarFigures key={mark.point.id} mark={mark} far={mark.far} width={width} />)}
        {shown && <Looked mark={shown} axis={axis} width={width} />}
      </svg>
    </div>
  );
}

/** Beyond the breaks of the scales: what lies there is farther off than it is drawn. */
function Strips({ plot: { x, y }, width }: { plot: FrontPlot; width: number }) {
  const upright = [...(x.from > 0 ? [[0, x.from]] : []), ...(x.to < width ? [[x.to, width]] : [])];
  const lying = [...(y.from > 0 ? [[HEIGHT - y.from, HEIGHT]] : []), ...(y.to < HEIGHT ? [[0, HEIGHT - y.to]] : [])];
  return (
    <g className="front-strips" data-testid={upright.length + lying.length > 0 ? "front-break" : undefined} aria-hidden>
      {upright.map(([from = 0, to = 0]) => (
        <g key={from}>
          <rect x={from} y={0} width={to - from} height={HEIGHT} />
          <Break x={from === 0 ? to : from} y={HEIGHT} />
        </g>
      ))}
      {lying.map(([from = 0, to = 0]) => (
        <g key={from}>
          <rect x={0} y={from} width={width} height={to - from} />
          <Break x={0} y={from === 0 ? to : from} />
        </g>
      ))}
    </g>
  );
}

/** The sign of a broken axis. */
const Break = ({ x, y }: { x: number; y: number }) => <path className="front-cut" d={`M${x - 4.5} ${y + 5}l5 -10m4 0l-5 10`} />;

/** What a point has that lies too far off, beside it, on the side where there is room. */
function FarFigures({ mark: { x, y, radius }, far, width }: { mark: Mark; far: string; width: number }) {
  const isRight = x > width / 2;
  return (
    <text className="front-far" x={isRight ? x - radius - 5 : x + radius + 5} y={y + 4} textAnchor={isRight ? "end" : "start"} aria-hidden data-testid="front-far">
      {far}
    </text>
  );
}

function Axes({ plot: { x, y }, axis, width }: { plot: FrontPlot; axis: Axis; width: number }) {
  return (
    <g aria-hidden>
      {y.ticks.map((value) => (
        <g key={value} className="tick">
          <line x1={0} x2={width} y1={HEIGHT - y.place(value)} y2={HEIGHT - y.place(value)} />
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
      <line className="axis" x1={0} x2={width} y1={HEIGHT} y2={HEIGHT} />
      <text className="axis-title" x={width} y={HEIGHT + 33} textAnchor="end">
        frames/s →
      </text>
    </g>
  );
}

/** The point that is looked at, above all others, with lines to both axes. */
function Looked({ mark: { x, y, own, radius, point }, axis, width }: { mark: Mark; axis: Axis; width: number }) {
  const value = axis === "energy" ? point.energy : point.memory;
  return (
    <g className={`front-looked front-point is-${point.kind}`} aria-hidden>
      <path d={`M0 ${own.y}H${own.x}V${HEIGHT}`} />
      <line className="point-leader" x1={own.x} y1={own.y} x2={x} y2={y} />
      <g transform={`translate(${x.toFixed(1)} ${y.toFixed(1)})`}>
        <Sign kind={point.kind} radius={radius} title={point.title} />
      </g>
      <text x={4} y={own.y > 24 ? own.y - 5 : own.y + 13}>
        {value === null ? "" : formatOn(axis, value)}
      </text>
      <text x={own.x > width - 60 ? own.x - 5 : own.x + 5} y={HEIGHT - 5} textAnchor={own.x > width - 60 ? "end" : "start"}>
        {formatFps(point.throughput)}
      </text>
    </g>
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
  const { sizes, marks } = plotFront(points, axis, 1, 1);
  const isBroken = marks.some(({ far }) => far !== null);
  return (
    <ul className="front-legend">
      <li>
        <LegendSign kind="front" title="" radius={5} /> best trade-offs
      </li>
      {others.map(({ id, kind, title }) => (
        <li key={id}>
          <LegendSign kind={kind} title={title} radius={5} /> {title}
        </li>
      ))}
      {isBroken && <li className="front-beyond">Grey strip: farther off than drawn, with its figures</li>}
      {sizes && (
        <li className="front-size" data-testid="size-legend">
          {otherAxis(axis) === "memory" ? "Memory" : "Energy"}:
          {sizes.map((value) => (
            <span key={value}>
              <LegendSign kind="front" title="" radius={radiusOf(value, ...sizes)} /> {formatOn(otherAxis(axis), value)}
            </span>
          ))}
        </li>
      )}
    </ul>
  );
}

function LegendSign({ kind, title, radius }: { kind: PointKind; title: string; radius: number }) {
  const half = radius + 3;
  return (
    <svg className={`front-point is-${kind}`} width={2 * half} height={2 * half} viewBox={`${-half} ${-half} ${2 * half} ${2 * half}`} aria-hidden>
      <Sign kind={kind} radius={radius} title={title} />
    </svg>
  );
}
