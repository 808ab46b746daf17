/** A device beside the canvas: what the plan asks of it, and how it does while a deployment runs. Layers are dropped here. */
import { ActionIcon, Menu } from "@mantine/core";
import { IconBolt, IconChartLine, IconDots, IconFileText, IconHandGrab, IconRefresh, IconStopwatch, IconTrash } from "@tabler/icons-react";
import type { Device } from "@/api/types";
import { formatBytes, formatCount, formatMacs, formatPercent, plural } from "@/app/format";
import { DeviceLivePanel } from "@/live/DeviceLivePanel";
import type { DeviceEstimate } from "@/plan/estimate";
import { StagePredictions } from "@/profiles/StagePredictions";
import type { DeviceDoings } from "./actions";
import { DeviceSign } from "./DeviceSign";
import { markClass } from "./marks";
import type { DeviceMark } from "./palette";
import { STATE_WORDS } from "./words";

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
  actions: DeviceActions;
}

function Meter({ label, value, share, over = false }: { label: string; value: string; share: number; over?: boolean }) {
  return (
    <div className={over ? "meter is-over" : "meter"}>
      <span className="meter-label">{label}</span>
      <span className="meter-track">
        <span style={{ width: `${Math.min(share, 1) * 100}%` }} />
      </span>
      <span className="meter-value">{value}</span>
    </div>
  );
}

export function DeviceCard({ device, mark, cost, total, dim, dropping, flash, deployment, actions }: DeviceCardProps) {
  const { name, check } = device;
  const live = deployment !== null;
  const memory = check?.memory_bytes ?? null;
  const needed = cost?.memoryBytes ?? 0;
  const facts = check
    ? [device.kind === "ssh" ? "SSH" : "local", check.architecture, plural(check.usable_cores, "core"), formatBytes(check.memory_bytes)]
    : [device.kind === "ssh" ? "SSH" : "local", device.address];
  return (
    <section
      className={`device-card ${markClass(mark, true)}${dropping ? " is-drop" : ""}`}
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
        <Menu position="bottom-end" withinPortal>
          <Menu.Target>
            <ActionIcon variant="subtle" color="gray" size="sm" aria-label={`More about ${name}`}>
              <IconDots size={15} />
            </ActionIcon>
          </Menu.Target>
          <Menu.Dropdown>
            <Menu.Item leftSection={<IconHandGrab size={14} />} onClick={() => actions.select(name)}>
              Select its layers
            </Menu.Item>
            <Menu.Item leftSection={<IconChartLine size={14} />} onClick={() => actions.showCharts(name)}>
              Live charts
            </Menu.Item>
            <Menu.Item leftSection={<IconStopwatch size={14} />} onClick={() => actions.profile(name)}>
              Profile…
            </Menu.Item>
            <Menu.Item leftSection={<IconBolt size={14} />} onClick={() => actions.power(name)}>
              Power…
            </Menu.Item>
            <Menu.Item leftSection={<IconRefresh size={14} />} onClick={() => actions.check(name)}>
              Check again
            </Menu.Item>
            <Menu.Item leftSection={<IconFileText size={14} />} onClick={() => actions.showLog(name)}>
              Agent log
            </Menu.Item>
            <Menu.Item color="red" leftSection={<IconTrash size={14} />} onClick={() => actions.remove(name)}>
              Remove…
            </Menu.Item>
          </Menu.Dropdown>
        </Menu>
      </header>
      {!live && (
        <p className="device-facts" title={device.address}>
          {facts.join(" · ")}
        </p>
      )}
      {device.problem && <p className="device-problem">{device.problem.message}</p>}
      <div className={dim ? "device-plan is-dim" : "device-plan"}>
        <p className="device-figures">
          <span>
            <b data-testid={`device-layers-${name}`}>{cost?.layers ?? 0}</b> {cost?.layers === 1 ? "layer" : "layers"}
          </span>
          <span title="Bytes received and sent per frame">
            in {formatBytes(cost?.receivedBytes ?? 0)} · out {formatBytes(cost?.sentBytes ?? 0)}
          </span>
        </p>
        <Meter label="Work" value={cost ? `${formatMacs(cost.macs)} · ${formatPercent(total.macs > 0 ? cost.macs / total.macs : 0)}` : "none"} share={cost && total.macs > 0 ? cost.macs / total.macs : 0} />
        <Meter
          label="Params"
          value={cost ? `${formatCount(cost.parameters)} · ${formatBytes(cost.weightBytes)}` : "none"}
          share={cost && total.parameters > 0 ? cost.parameters / total.parameters : 0}
        />
        <Meter
          label="Memory"
          value={memory === null ? formatBytes(needed) : `${formatBytes(needed)} of ${formatBytes(memory)}`}
          share={memory === null ? 0 : needed / memory}
          over={memory !== null && needed > memory * 0.9}
        />
      </div>
      {live && <DeviceLivePanel device={name} />}
      {deployment !== null && <StagePredictions deployment={deployment} device={name} profile={() => actions.profile(name)} />}
      {flash !== null && (
        <p className="device-flash" role="status">
          {flash}
        </p>
      )}
    </section>
  );
}
