/** Live figures of one device on its card: four numbers with a minute of history each. */
import { Tooltip } from "@mantine/core";
import { formatBytes, formatFps, formatPercent } from "@/app/format";
import { throttleWords } from "@/devices/checkGroups";
import { Throttled } from "@/power/PowerFigure";
import { coverageNote, describeEnergy, describeProvenance, describeWindow, formatWatts, shortProvenance } from "@/power/words";
import { Chart } from "./Chart";
import { describeLinks, describeTimes, describeTrouble } from "./flow";
import { STALE_AFTER_MS, useLive, useNow } from "./store";
import type { Metric } from "./series";

export const METRIC_LABELS: Record<Metric, string> = { fps: "Frames/s", cpu: "CPU", memory: "Memory", power: "Power", temperature: "Temperature" };

export function formatMetric(metric: Metric, value: number): string {
  if (metric === "fps") return formatFps(value);
  if (metric === "cpu") return formatPercent(value);
  if (metric === "memory") return formatBytes(value);
  if (metric === "temperature") return `${value.toFixed(1)}\u202f°C`;
  return formatWatts(value);
}

interface FigureProps {
  device: string;
  metric: Metric;
  latest: number | null;
  /** Where it comes from: short beside it, in full on asking. */
  note?: { short: string; full: string; estimated: boolean } | null;
}

function Figure({ device, metric, latest, note = null }: FigureProps) {
  const shown = (
    <span className={latest === null ? "live-value is-absent" : "live-value"} data-testid={`${metric}-${device}`} tabIndex={note ? 0 : undefined}>
      {latest === null ? (metric === "power" ? "no source" : "no figure") : <span className={note?.estimated ? "amount is-estimate" : ""}>{formatMetric(metric, latest)}</span>}
    </span>
  );
  return (
    <div className="live-figure">
      <span className="live-label">{METRIC_LABELS[metric]}</span>
      {latest !== null && note !== null && <span className="live-note">{note.short}</span>}
      {note ? <Tooltip label={note.full} events={{ hover: true, focus: true, touch: true }}>{shown}</Tooltip> : shown}
      {latest !== null && <Chart device={device} metric={metric} height={18} format={(value) => formatMetric(metric, value)} max={metric === "cpu" ? 1 : undefined} />}
    </div>
  );
}

export function DeviceLivePanel({ device }: { device: string }) {
  const latest = useLive((state) => state.latest[device]);
  const now = useNow();
  if (!latest) {
    return (
      <div className="live-panel is-waiting" data-testid={`live-${device}`}>
        waiting for the first figures…
      </div>
    );
  }
  const age = now - latest.receivedAt;
  const stale = age > STALE_AFTER_MS;
  const { live } = latest;
  const { power, energy, thermal } = live;
  const short = power && coverageNote(power.coverage) !== null ? `${shortProvenance(power)} ${Math.floor(power.coverage * 100)}\u202f%` : power && shortProvenance(power);
  const perFrame = describeEnergy(energy);
  return (
    <div className={stale ? "live-panel is-stale" : "live-panel"} data-testid={`live-${device}`}>
      <Figure device={device} metric="fps" latest={live.frames_per_s} />
      <Figure device={device} metric="cpu" latest={live.cpu_utilisation} />
      <Figure device={device} metric="memory" latest={live.memory_bytes} />
      <Figure device={device} metric="power" latest={power?.power_w ?? null} note={power && { short: short ?? "", full: describeProvenance(power), estimated: power.method === "estimated" }} />
      <p className="live-flow" data-testid={`flow-${device}`}>
        {[describeTimes(live), describeLinks(live)].filter((text) => text !== null).map((text) => (
          <span key={text.split(" ")[0]}>{text}</span>
        ))}
        {energy && perFrame !== null && (
          <span title={`${describeProvenance(energy)}\n${describeWindow(energy)}`} data-testid={`energy-${device}`}>
            {perFrame}
          </span>
        )}
        <Throttled names={thermal && thermal.throttled.length > 0 ? [throttleWords(thermal.throttled)] : []} />
      </p>
      {describeTrouble(live).map((text) => (
        <p key={text} className="live-trouble" role="status">
          {text}
        </p>
      ))}
      {stale && <p className="live-age">last heard {Math.round(age / 1000)} s ago</p>}
    </div>
  );
}
