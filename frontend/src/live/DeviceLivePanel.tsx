/** Live figures of one device on its card: four numbers with a minute of history each. */
import { formatBytes, formatFps, formatPercent } from "@/app/format";
import { describeEnergy, formatWatts, shortProvenance } from "@/power/words";
import { Chart } from "./Chart";
import { describeLinks, describeTimes } from "./flow";
import { STALE_AFTER_MS, useLive, useNow, type Latest } from "./store";
import type { Metric } from "./series";

export const METRIC_LABELS: Record<Metric, string> = { fps: "Frames/s", cpu: "CPU", memory: "Memory", power: "Power" };

export function formatMetric(metric: Metric, value: number): string {
  if (metric === "fps") return formatFps(value);
  if (metric === "cpu") return formatPercent(value);
  if (metric === "memory") return formatBytes(value);
  return formatWatts(value);
}

function Figure({ device, metric, latest, note }: { device: string; metric: Metric; latest: number | null; note: string | null }) {
  return (
    <div className="live-figure">
      <span className="live-label">{METRIC_LABELS[metric]}</span>
      {latest !== null && note !== null && <span className="live-note">{note}</span>}
      <span className={latest === null ? "live-value is-absent" : "live-value"} data-testid={`${metric}-${device}`}>
        {latest === null ? (note ?? "no figure") : formatMetric(metric, latest)}
      </span>
      {latest !== null && <Chart device={device} metric={metric} height={18} format={(value) => formatMetric(metric, value)} max={metric === "cpu" ? 1 : undefined} />}
    </div>
  );
}

/** Where a power figure comes from, in words. */
export function powerNote({ live }: Latest): string {
  if (!live.power) return "no sensor";
  return shortProvenance(live.power);
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
  return (
    <div className={stale ? "live-panel is-stale" : "live-panel"} data-testid={`live-${device}`}>
      <Figure device={device} metric="fps" latest={live.frames_per_s} note={null} />
      <Figure device={device} metric="cpu" latest={live.cpu_utilisation} note={null} />
      <Figure device={device} metric="memory" latest={live.memory_bytes} note={null} />
      <Figure device={device} metric="power" latest={live.power?.power_w ?? null} note={powerNote(latest)} />
      <p className="live-flow" data-testid={`flow-${device}`}>
        {[describeTimes(live), describeLinks(live), describeEnergy(live.energy)].filter((text) => text !== null).map((text) => (
          <span key={text.split(" ")[0]}>{text}</span>
        ))}
      </p>
      {stale && <p className="live-age">last heard {Math.round(age / 1000)} s ago</p>}
    </div>
  );
}
