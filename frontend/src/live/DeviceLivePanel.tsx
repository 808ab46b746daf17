/** Live figures of one device on its card: gauges with what was predicted, and how frames flow. */
import { Tooltip } from "@mantine/core";
import { useState } from "react";
import type { Device } from "@/api/types";
import { formatFps } from "@/app/format";
import { throttleWords } from "@/devices/checkGroups";
import { Gauge } from "@/devices/Gauge";
import { gaugesOf } from "@/devices/gauges";
import type { DeviceEstimate } from "@/plan/estimate";
import type { Prediction } from "@/planner/types";
import { Throttled } from "@/power/PowerFigure";
import { coverageNote, describeEnergy, describeProvenance, describeWindow, shortProvenance } from "@/power/words";
import "@/styles/devices.css";
import "@/styles/deploy.css";
import { Chart } from "./Chart";
import { describeLinks, describeTimes, describeTrouble } from "./flow";
import { useLatest } from "./useLatest";

/** Figures that came sooner may be of the time before the links were made. */
const LINKS_TOLD_AFTER_MS = 2000;

interface DeviceLivePanelProps {
  device: Device;
  /** What the plan under the hand asks of it. */
  cost: DeviceEstimate | undefined;
  prediction: Prediction | null;
}

export function DeviceLivePanel({ device, cost, prediction }: DeviceLivePanelProps) {
  const { name } = device;
  const { ref, latest, staleS } = useLatest<HTMLDivElement>(name);
  const [shownAt] = useState(() => Date.now());
  if (!latest) {
    return (
      <div ref={ref} className="live-panel is-waiting" data-testid={`live-${name}`}>
        waiting for the first figures…
      </div>
    );
  }
  const { live } = latest;
  const trouble = latest.receivedAt - shownAt < LINKS_TOLD_AFTER_MS ? [] : describeTrouble(live);
  const { power, energy, thermal } = live;
  const gauges = gaugesOf(device, cost, prediction, live);
  const short = power && coverageNote(power.coverage) !== null ? `${shortProvenance(power)} ${Math.floor(power.coverage * 100)}\u202f%` : power && shortProvenance(power);
  const perFrame = describeEnergy(energy);
  const throttled = thermal && thermal.throttled.length > 0 ? [throttleWords(thermal.throttled)] : [];
  return (
    <div ref={ref} className={staleS === null ? "live-panel" : "live-panel is-stale"} data-testid={`live-${name}`}>
      <div className="live-rate">
        <span className="live-label">Frames/s</span>
        <Chart device={name} metric="fps" height={20} format={formatFps} />
        <b className="live-value" data-testid={`fps-${name}`}>
          {formatFps(live.frames_per_s)}
        </b>
      </div>
      <Gauge label="Load" view={gauges.load} testId={`gauge-load-${name}`}>
        <span data-testid={`cpu-${name}`}>{gauges.load.value}</span>
      </Gauge>
      <Gauge label="Memory" view={gauges.memory} testId={`gauge-memory-${name}`}>
        <span data-testid={`memory-${name}`}>{gauges.memory.value}</span>
      </Gauge>
      <Gauge label="Power" view={gauges.power} note={power?.power_w != null && short !== null ? <small>{short}</small> : null} testId={`gauge-power-${name}`}>
        {power ? (
          <Tooltip label={describeProvenance(power)} events={{ hover: true, focus: true, touch: true }}>
            <span className={power.method === "estimated" ? "amount is-estimate" : ""} tabIndex={0} data-testid={`power-${name}`}>
              {gauges.power.value}
            </span>
          </Tooltip>
        ) : (
          <span data-testid={`power-${name}`}>{gauges.power.value}</span>
        )}
      </Gauge>
      {gauges.heat && (
        <Gauge label="Heat" view={gauges.heat} testId={`gauge-heat-${name}`}>
          {gauges.heat.value} {throttled.length > 0 && <Throttled names={throttled} />}
        </Gauge>
      )}
      <p className="live-flow" data-testid={`flow-${name}`}>
        {[describeTimes(live), describeLinks(live)].filter((text) => text !== null).map((text) => (
          <span key={text.split(" ")[0]}>{text}</span>
        ))}
        {/* What a device takes while nothing passes is no frame's. */}
        {energy && perFrame !== null && live.frames_per_s > 0 && (
          <span title={`${describeProvenance(energy)}\n${describeWindow(energy)}`} data-testid={`energy-${name}`}>
            {perFrame}
          </span>
        )}
      </p>
      {trouble.map((text) => (
        <p key={text} className="live-trouble" role="status">
          {text}
        </p>
      ))}
      {staleS !== null && (
        <p className="live-age">
          last heard {staleS} s ago
        </p>
      )}
    </div>
  );
}
