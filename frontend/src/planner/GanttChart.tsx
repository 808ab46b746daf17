/** The first frames of a plan: what each resource does when, frame by frame. */
import { formatDuration, formatFps, plural } from "@/app/format";
import { shorten } from "@/editor/shorten";
import { plotGantt } from "./gantt";
import type { Gantt } from "./types";

const WIDTH = 240;
const NAMES = 112;
const ROW = 17;
/** A bar so wide has room for its frame's number. */
const ROOM = 11;

export function GanttChart({ gantt }: { gantt: Gantt }) {
  const { rows, seconds } = plotGantt(gantt, WIDTH);
  const height = rows.length * ROW;
  const frames = 1 + gantt.bars.reduce((most, { frame }) => Math.max(most, frame), 0);
  const queues = Object.entries(gantt.queues).filter(([, waiting]) => waiting > 0);
  const words = `${plural(frames, "frame")} in ${formatDuration(seconds)}; the first result after ${formatDuration(gantt.fill_s)}, ${formatDuration(gantt.drain_s)} to drain; ${formatFps(gantt.throughput_per_s)} frames/s simulated`;
  return (
    <figure className="gantt" data-testid="gantt">
      <svg viewBox={`0 0 ${NAMES + WIDTH + 4} ${height + 18}`} role="img" aria-label={`The first frames, simulated: ${words}.`}>
        {rows.map(({ resource, bars }, i) => (
          <g key={resource} transform={`translate(0 ${i * ROW})`}>
            <text className="gantt-name" x={0} y={12}>
              {shorten(resource.replace("->", " → "), 20)}
              <title>{resource}</title>
            </text>
            <line className="gantt-line" x1={NAMES} x2={NAMES + WIDTH} y1={ROW - 0.5} y2={ROW - 0.5} />
            {bars.map(({ x, width, bar }) => (
              <g key={`${bar.what} ${bar.frame} ${bar.begin_s}`} className={`gantt-bar frame-${bar.frame % 4}`}>
                <title>{`Frame ${bar.frame + 1}: ${bar.what}, ${formatDuration(bar.begin_s)} to ${formatDuration(bar.end_s)}`}</title>
                <rect x={NAMES + x} y={2} width={width} height={ROW - 4} rx={1.5} />
                {width >= ROOM && (
                  <text x={NAMES + x + width / 2} y={12} textAnchor="middle">
                    {bar.frame + 1}
                  </text>
                )}
              </g>
            ))}
          </g>
        ))}
        <text className="gantt-name" x={NAMES} y={height + 13}>
          0
        </text>
        <text className="gantt-name" x={NAMES + WIDTH} y={height + 13} textAnchor="end">
          {formatDuration(seconds)}
        </text>
      </svg>
      <figcaption>
        {words}.{queues.length > 0 && ` Waiting at most: ${queues.map(([cut, waiting]) => `${waiting} at ${cut}`).join(", ")}.`}
      </figcaption>
    </figure>
  );
}
