/** A frame's way through the stages as one bar: waiting, computing, travelling. */
import type { Run } from "@/api/types";
import { formatDuration, formatPercent } from "@/app/format";
import { markClass, useMarks } from "@/devices/marks";
import { wayOf } from "@/live/pipeline";
import { usePipeline } from "@/live/pipelineStore";

export function FrameWay({ run }: { run: Run | null }) {
  const marks = useMarks();
  const stages = usePipeline(({ now }) => now?.stages ?? null);
  const newest = run?.recent[0];
  const latency = run?.latency_p50_s ?? null;
  const way = stages && wayOf(stages, latency);
  if (!way) return <p className="dock-empty">While frames flow, their way through the devices is shown here: where they wait, compute and travel.</p>;
  const whole = way.reduce((sum, { seconds }) => sum + seconds, 0);
  return (
    <div className="frame-way" data-testid="frame-way">
      <ol aria-label="A frame's way" className="way-bar">
        {way.map(({ kind, label, device, seconds }) => (
          <li
            key={`${kind} ${label}`}
            className={`way-part is-${kind} ${kind === "compute" ? markClass(device === null ? null : (marks.get(device) ?? null), true) : ""}`}
            style={{ flexGrow: seconds / whole }}
            title={`${label}: ${formatDuration(seconds)}, ${formatPercent(seconds / whole)}`}
          >
            <span className="visually-hidden">
              {label}: {formatDuration(seconds)}
            </span>
          </li>
        ))}
      </ol>
      <ul className="way-legend" aria-hidden>
        {way.map(({ kind, label, device, seconds }) => (
          <li key={`${kind} ${label}`}>
            <i className={`way-part is-${kind} ${kind === "compute" ? markClass(device === null ? null : (marks.get(device) ?? null), true) : ""}`} />
            {label} <b>{formatDuration(seconds)}</b>
          </li>
        ))}
      </ul>
      <p className="dock-note">
        Means of the last second{latency === null ? "" : `, of a frame's ${formatDuration(latency)}`}. {newest ? `The newest frame, ${newest.input_name}, took ${formatDuration(newest.latency_s)}.` : ""}
      </p>
    </div>
  );
}
