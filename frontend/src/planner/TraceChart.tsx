/** A small chart of a search: the best plan's value and what none beats, coming closer to each other. */
import { formatElapsed } from "@/app/format";
import { plotTrace, traceWords, type Sample } from "./trace";
import type { Objective } from "./types";
import { formatValue } from "./words";

const WIDTH = 320;
const HEIGHT = 64;
/** The names of the lines stand above, the time below. */
const ABOVE = 16;
const BELOW = 15;

interface TraceChartProps {
  samples: readonly Sample[];
  objective: Objective;
  elapsed_s: number;
}

export function TraceChart({ samples, objective, elapsed_s }: TraceChartProps) {
  const { y, value, bound, between } = plotTrace(samples, elapsed_s, WIDTH, HEIGHT);
  const ticks = [...new Set([y.ticks[0] ?? y.high, y.ticks.at(-1) ?? y.high])];
  return (
    <svg className="trace" viewBox={`0 ${-ABOVE} ${WIDTH} ${HEIGHT + ABOVE + BELOW}`} role="img" aria-label={`${traceWords(samples, objective, formatValue)}, in ${formatElapsed(elapsed_s)}.`} data-testid="trace">
      <svg x={0} y={0} width={WIDTH} height={HEIGHT}>
        <path className="trace-between" d={between} />
        {ticks.map((tick) => (
          <line key={tick} className="trace-tick" x1={0} x2={WIDTH} y1={HEIGHT - y.place(tick)} y2={HEIGHT - y.place(tick)} />
        ))}
        <path className="trace-bound" d={bound} />
        <path className="trace-value" d={value} />
      </svg>
      {ticks.filter((tick) => tick !== 0).map((tick) => (
        <text key={tick} className="trace-label" x={1} y={Math.max(HEIGHT - y.place(tick) - 3, 9)}>
          {formatValue(objective, tick)}
        </text>
      ))}
      <line className="trace-axis" x1={0} x2={WIDTH} y1={HEIGHT} y2={HEIGHT} />
      <g className="trace-names">
        <line className="trace-value" x1={0} x2={14} y1={-9} y2={-9} />
        <text x={18} y={-5}>best plan</text>
        {bound !== "" && (
          <>
            <line className="trace-bound" x1={86} x2={100} y1={-9} y2={-9} />
            <text x={104} y={-5}>no plan beats</text>
          </>
        )}
        <text x={0} y={HEIGHT + 12}>0</text>
        <text x={WIDTH} y={HEIGHT + 12} textAnchor="end">
          {formatElapsed(elapsed_s)}
        </text>
      </g>
    </svg>
  );
}
