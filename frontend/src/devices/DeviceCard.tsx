/** A device beside the canvas: what the plan asks of it, and how it does while a deployment runs. Layers are dropped here. */
import { ActionIcon, Button, Menu } from "@mantine/core";
import { IconDots } from "@tabler/icons-react";
import type { Device, ProblemBody as ProblemOut } from "@/api/types";
import { formatBytes, formatCount, formatMacs, formatPercent, formatWhole, plural } from "@/app/format";
import { lazily } from "@/app/lazily";
import { BottleneckTag, BrushButton, DropVerdict } from "@/editor/DeviceHand";
import { DeviceItems } from "@/editor/parts";
import type { DeviceEstimate } from "@/plan/estimate";
import type { Prediction } from "@/planner/types";
import type { DeviceDoings } from "./actions";
import { DeviceSign } from "./DeviceSign";
import { Gauge } from "./Gauge";
import { gaugesOf } from "./gauges";
import { markClass } from "./marks";
import type { DeviceMark } from "./palette";
import { STATE_WORDS } from "./words";

const DeviceLivePanel = lazily(() => import("@/live/DeviceLivePanel").then(({ DeviceLivePanel: part }) => part));
const StagePredictions = lazily(() => import("@/profiles/StagePredictions").then(({ StagePredictions: part }) => part));

export interface DeviceActions extends DeviceDoings {
  select: (name: string) => void;
}

interface DeviceCardProps {
  device: Device;
  mark: DeviceMark | null;
  cost: DeviceEstimate | undefined;
  total: DeviceEstimate;
  /** Estimated in the page, while the studio's answer is on its way. */
  dim: boolean;
  dropping: boolean;
  flash: string | null;
  /** The deployment that runs on it now. */
  deployment: string | null;
  /** What is predicted of the plan under the hand. */
  prediction: Prediction | null;
  /** What went wrong on it with the deployment that is looked at. */
  failure: ProblemOut | null;
  retry: () => void;
  actions: DeviceActions;
}

function Meter({ label, value, share }: { label: string; value: string; share: number }) {
  return (
    <div className="meter">
      <span className="meter-label">{label}</span>
      <span className="meter-track">
        <span style={{ width: `${Math.min(share, 1) * 100}%` }} />
      </span>
      <span className="meter-value">{value}</span>
    </div>
  );
}

export function DeviceCard({ device, mark, cost, total, dim, dropping, flash, deployment, prediction, failure, retry, actions }: DeviceCardProps) {
  const { name, check } = device;
  const live = deployment !== null;
  const gauges = live ? null : gaugesOf(device, cost, prediction, null);
  const memory = check?.memory_bytes ?? null;
  const facts = check
    ? [device.kind === "ssh" ? "SSH" : "local", check.architecture, plural(check.usable_cores, "core"), formatBytes(check.memory_bytes)]
    : [device.kind === "ssh" ? "SSH" : "local", device.address];
  return (
    <section
      className={`device-card ${markClass(mark, true)}${dropping ? " is-drop" : ""}${failure ? " is-lost" : ""}`}
      data-testid={`device-card-${name}`}
      data-drop-device={name}
      aria-label={`Device ${name}, ${STATE_WORDS[device.state]}, ${plural(cost?.layers ?? 0, "layer")}`}
    >
      <header>
        <DeviceSign mark={mark} />
        <button type="button" className="device-name" title={`Select the layers on ${name}`} onClick={() => actions.select(name)}>
          {name}
        </button>
        {mark && mark.number <= 9 && <kbd title={`Press ${mark.number} to send the selection here`}>{mark.number}</kbd>}
        <span className={`state state-${device.state}`}>{STATE_WORDS[device.state]}</span>
        <BrushButton device={name} />
        <Menu position="bottom-end" withinPortal>
          <Menu.Target>
            <ActionIcon variant="subtle" color="gray" size="sm" aria-label={`More about ${name}`}>
              <IconDots size={15} />
            </ActionIcon>
          </Menu.Target>
          <Menu.Dropdown>
            <DeviceItems name={name} actions={actions} />
          </Menu.Dropdown>
        </Menu>
      </header>
      <BottleneckTag device={name} />
      {!live && (
        <p className="device-facts" title={device.address}>
          {facts.join(" · ")}
        </p>
      )}
      {device.problem && <p className="device-problem">{device.problem.message}</p>}
      {failure && (
        <div className="device-failure" data-testid={`failure-${name}`}>
          <p>
            <b>{failure.message}</b> {failure.next_step}
          </p>
          <Button size="compact-xs" variant="default" onClick={retry}>
            Try again<span className="visually-hidden">: {name}</span>
          </Button>
        </div>
      )}
      <div className={dim ? "device-plan is-dim" : "device-plan"}>
        <p className="device-figures">
          <span>
            <b data-testid={`device-layers-${name}`}>{formatWhole(cost?.layers ?? 0)}</b> {cost?.layers === 1 ? "layer" : "layers"}
          </span>
          <span title="Bytes received and sent per frame">
            in {formatBytes(cost?.receivedBytes ?? 0)} · out {formatBytes(cost?.sentBytes ?? 0)}
          </span>
        </p>
        {!live && (
          <>
            <Meter label="Work" value={cost ? `${formatMacs(cost.macs)} · ${formatPercent(total.macs > 0 ? cost.macs / total.macs : 0)}` : "none"} share={cost && total.macs > 0 ? cost.macs / total.macs : 0} />
            <Meter
              label="Params"
              value={cost ? `${formatCount(cost.parameters)} · ${formatBytes(cost.weightBytes)}` : "none"}
              share={cost && total.parameters > 0 ? cost.parameters / total.parameters : 0}
            />
          </>
        )}
        {gauges && (
          <>
            <Gauge label="Memory" view={gauges.memory} testId={`gauge-memory-${name}`}>
              {memory === null ? gauges.memory.value : `${gauges.memory.value} of ${formatBytes(memory)}`}
            </Gauge>
            {cost && gauges.load.fill !== null && <Gauge label="Load" view={gauges.load} testId={`gauge-load-${name}`} />}
            {cost && gauges.power.fill !== null && <Gauge label="Power" view={gauges.power} testId={`gauge-power-${name}`} />}
          </>
        )}
      </div>
      {live && <DeviceLivePanel device={device} cost={cost} prediction={prediction} />}
      {deployment !== null && <StagePredictions deployment={deployment} device={name} profile={() => actions.profile(name)} />}
      <DropVerdict device={name} />
      {flash !== null && (
        <p className="device-flash" role="status">
          {flash}
        </p>
      )}
    </section>
  );
}
