/** A device on the page of devices: its verdict, what it rests on, and what can be done with it. */
import { ActionIcon, Button, Tooltip } from "@mantine/core";
import { IconBolt, IconChartLine, IconChevronDown, IconChevronRight, IconFileText, IconRefresh, IconStopwatch, IconTrash } from "@tabler/icons-react";
import { useId, useState } from "react";
import type { Device, Job } from "@/api/types";
import { formatAgo, formatBytes, plural } from "@/app/format";
import { own } from "@/app/own";
import { JobProgress } from "@/jobs/JobProgress";
import { useLive, useNow } from "@/live/store";
import { Throttled } from "@/power/PowerFigure";
import { describePower } from "@/power/words";
import { AccessDialog, accessFor, type Access } from "./AccessDialog";
import type { DeviceDoings } from "./actions";
import { CheckDetails } from "./CheckDetails";
import { describePythons, reasonsNow, throttleWords } from "./checkGroups";
import { DevicePath } from "./DevicePath";
import { DeviceSign } from "./DeviceSign";
import { DeviceProblem } from "./HostKey";
import type { DeviceMark } from "./palette";
import { pathOf } from "./path";
import { Reasons } from "./Reasons";
import { STATE_WORDS } from "./words";

interface DeviceRowProps {
  device: Device;
  mark: DeviceMark | null;
  busy: boolean;
  job: Job | null;
  profiles: number;
  /** Peers of which a measured link is known. */
  peers: number;
  actions: DeviceDoings;
  measureLinks: () => void;
}

function facts({ check, power, release }: Device): [string, string][] {
  if (!check) return [];
  const found: [string, string | null][] = [
    ["Model", check.model],
    ["System", check.os],
    ["Architecture", check.architecture],
    ["Python", describePythons(check)],
    ["Usable cores", String(Math.round(check.usable_cores * 100) / 100)],
    ["Usable memory", formatBytes(check.memory_bytes)],
    ["Free disk", check.disk_free_bytes === null ? null : formatBytes(check.disk_free_bytes)],
    ["ONNX Runtime", check.onnxruntime],
    ["Agent", release == null ? null : release.slice(0, 12)],
    ["Power", describePower(check.power_sources, power)],
  ];
  return found.filter((fact): fact is [string, string] => fact[1] !== null);
}

const LOGIN_WORDS: Record<Device["login_kept"], string | null> = { no: null, memory: "password in memory", keyring: "password in the keyring" };

export function DeviceRow({ device, mark, busy, job, profiles, peers, actions, measureLinks }: DeviceRowProps) {
  const { name, check, problem, state } = device;
  const [open, setOpen] = useState(false);
  const [access, setAccess] = useState<Access | null>(null);
  const help = accessFor(problem);
  const details = useId();
  const now = useNow();
  const login = LOGIN_WORDS[device.login_kept];
  return (
    <li className="device-row" data-testid={`device-card-${name}`} data-state={state}>
      <header>
        <DeviceSign mark={mark} />
        <h2>{name}</h2>
        <span className={`state state-${state}`} data-testid={`state-${name}`}>
          {busy ? "checking…" : STATE_WORDS[state]}
        </span>
        <Heat name={name} check={check} />
        {device.deployment_id !== null && <span className="tag">in a deployment</span>}
        <span className="header-space" />
        <Button size="compact-sm" variant="default" leftSection={<IconStopwatch size={13} />} onClick={() => actions.profile(name)} data-testid={`profile-of-${name}`}>
          {profiles === 0 ? "Profile" : plural(profiles, "profile")}
        </Button>
        <Button size="compact-sm" variant="default" leftSection={<IconBolt size={13} />} onClick={() => actions.power(name)} data-testid={`power-of-${name}`}>
          Power
        </Button>
        <Button size="compact-sm" variant="default" leftSection={<IconRefresh size={13} />} loading={busy} onClick={() => actions.check(name)} data-testid={`check-${name}`}>
          Check again
        </Button>
        <Tooltip label="Live charts">
          <ActionIcon variant="subtle" color="gray" aria-label={`Live charts of ${name}`} onClick={() => actions.showCharts(name)} data-testid={`charts-${name}`}>
            <IconChartLine size={16} />
          </ActionIcon>
        </Tooltip>
        <Tooltip label="Agent log">
          <ActionIcon variant="subtle" color="gray" aria-label={`Agent log of ${name}`} onClick={() => actions.showLog(name)} data-testid={`log-${name}`}>
            <IconFileText size={16} />
          </ActionIcon>
        </Tooltip>
        <Tooltip label="Remove">
          <ActionIcon variant="subtle" color="gray" aria-label={`Remove ${name}`} onClick={() => actions.remove(name)} data-testid={`remove-${name}`}>
            <IconTrash size={16} />
          </ActionIcon>
        </Tooltip>
      </header>
      <DevicePath
        name={name}
        path={pathOf(device, profiles, peers)}
        busy={busy || job !== null}
        act={(step) => (step === "checked" ? actions.check(name) : step === "profiled" ? actions.profile(name) : measureLinks())}
      />
      <p className="device-where">
        {device.kind === "local" ? <span>a process on the studio's machine</span> : <code>{device.address}</code>}
        {device.reached_as != null && (
          <span>
            reached as <code>{device.reached_as}</code>
          </span>
        )}
        {login !== null && <span>{login}</span>}
        {device.agent_running && <span>agent running</span>}
      </p>
      {problem && (
        <DeviceProblem problem={problem}>
          {help && (
            <Button size="compact-sm" variant="default" onClick={() => setAccess(help.access)} data-testid={`access-${name}`}>
              {help.words}
            </Button>
          )}
        </DeviceProblem>
      )}
      {check && <Reasons reasons={reasonsNow(check.reasons, device.power)} />}
      <dl className="device-dl">
        {facts(device).map(([term, value]) => (
          <div key={term}>
            <dt>{term}</dt>
            <dd>{value}</dd>
          </div>
        ))}
      </dl>
      {job && <JobProgress job={job} />}
      {check && (
        <div className="device-more">
          <button type="button" className="link" aria-expanded={open} aria-controls={details} onClick={() => setOpen(!open)} data-testid={`details-${name}`}>
            {open ? <IconChevronDown size={14} aria-hidden /> : <IconChevronRight size={14} aria-hidden />}
            {open ? "Hide the details" : "All that the check found"}
          </button>
          <small>checked {formatAgo(check.checked_at, now)}</small>
        </div>
      )}
      {access && <AccessDialog device={device} access={access} close={() => setAccess(null)} />}
      <div id={details}>{open && check && <CheckDetails check={check} />}</div>
    </li>
  );
}

/** Live where the agent tells, else as the last check found it. */
function Heat({ name, check }: { name: string; check: Device["check"] }) {
  const live = useLive((state) => own(state.latest, name)?.live.thermal);
  const thermal = live ?? check?.thermal;
  if (!thermal) return null;
  return <Throttled names={thermal.throttled.length > 0 ? [throttleWords(thermal.throttled)] : []} />;
}
