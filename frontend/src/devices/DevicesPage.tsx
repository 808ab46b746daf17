/** All devices: what each is, whether it can serve, and adding another. */
import { ActionIcon, Button, Loader, Modal, Tooltip } from "@mantine/core";
import { useQuery } from "@tanstack/react-query";
import { IconChartLine, IconFileText, IconPlus, IconRefresh, IconTrash } from "@tabler/icons-react";
import { useEffect, useMemo, useState } from "react";
import { asProblem } from "@/api/client";
import { devicesQuery } from "@/api/queries";
import type { Device } from "@/api/types";
import { formatBytes, plural } from "@/app/format";
import { Header } from "@/app/Header";
import { ProblemCard } from "@/app/ProblemCard";
import { useDeviceDialogs } from "./actions";
import { DeviceForm } from "./DeviceForm";
import { DeviceSign } from "./DeviceSign";
import { setMarks } from "./marks";
import { marksOf, type DeviceMark } from "./palette";
import { STATE_WORDS } from "./words";

export function DevicesPage() {
  const { data, error, isPending, refetch } = useQuery(devicesQuery);
  const marks = useMemo(() => marksOf(data ?? []), [data]);
  useEffect(() => setMarks(marks), [marks]);
  const { actions, checking, dialogs } = useDeviceDialogs();
  const [adding, setAdding] = useState(false);
  return (
    <>
      <Header />
      <main className="page">
        <div className="page-head">
          <h1>Devices</h1>
          <p>{data && data.length > 0 ? plural(data.length, "device") : ""}</p>
          <Button size="xs" leftSection={<IconPlus size={14} />} onClick={() => setAdding(true)} data-testid="add-device">
            Add a device
          </Button>
        </div>
        {isPending && <Loader size="sm" />}
        {error && (
          <ProblemCard problem={asProblem(error)}>
            <Button size="xs" variant="default" onClick={() => void refetch()}>
              Try again
            </Button>
          </ProblemCard>
        )}
        {data?.length === 0 && (
          <section className="empty">
            <h2>No devices yet</h2>
            <p>A device needs an SSH server and Python 3.8 or newer: no root, no internet, nothing installed beforehand. To try the studio, a process on this machine will do.</p>
          </section>
        )}
        <ul className="device-list">
          {data?.map((device) => (
            <DeviceRow key={device.name} device={device} mark={marks.get(device.name) ?? null} busy={checking === device.name} actions={actions} />
          ))}
        </ul>
      </main>
      {dialogs}
      <Modal opened={adding} onClose={() => setAdding(false)} title="Add a device" centered>
        <DeviceForm taken={(data ?? []).map(({ name }) => name)} done={() => setAdding(false)} />
      </Modal>
    </>
  );
}

interface DeviceRowProps {
  device: Device;
  mark: DeviceMark | null;
  busy: boolean;
  actions: { check: (name: string) => void; remove: (name: string) => void; showLog: (name: string) => void; showCharts: (name: string) => void };
}

function facts({ check, power }: Device): [string, string][] {
  const watts: [string, string][] = power.model === null ? [] : [["Power model", `${power.model.idle_w} to ${power.model.busy_w}\u202fW`]];
  if (!check) return watts;
  const newest = check.pythons[0];
  return [
    ...(check.model === null ? [] : [["Model", check.model] as [string, string]]),
    ["System", check.os],
    ["Architecture", check.architecture],
    ["Python", newest ? newest.version : "none"],
    ["Usable cores", String(Math.round(check.usable_cores * 100) / 100)],
    ["Usable memory", formatBytes(check.memory_bytes)],
    ...(check.disk_free_bytes === null ? [] : [["Free disk", formatBytes(check.disk_free_bytes)] as [string, string]]),
    ...watts,
  ];
}

function DeviceRow({ device, mark, busy, actions }: DeviceRowProps) {
  const { name, check, problem, state } = device;
  return (
    <li className="device-row" data-testid={`device-card-${name}`}>
      <header>
        <DeviceSign mark={mark} />
        <h2>{name}</h2>
        <code>{device.address}</code>
        <span className={`state state-${state}`}>{busy ? "checking…" : STATE_WORDS[state]}</span>
        <span className="header-space" />
        {device.deployment_id !== null && <span className="tag">in a deployment</span>}
        <Button size="compact-sm" variant="default" leftSection={<IconRefresh size={13} />} loading={busy} onClick={() => actions.check(name)} data-testid={`check-${name}`}>
          Check again
        </Button>
        <Tooltip label="Live charts">
          <ActionIcon variant="subtle" color="gray" aria-label={`Live charts of ${name}`} onClick={() => actions.showCharts(name)}>
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
      <dl className="device-dl">
        {facts(device).map(([term, value]) => (
          <div key={term}>
            <dt>{term}</dt>
            <dd>{value}</dd>
          </div>
        ))}
      </dl>
      {check?.verdict === "cannot" && (
        <ul className="reasons">
          {check.reasons.map((reason) => (
            <li key={reason.code + reason.text}>{reason.text}</li>
          ))}
        </ul>
      )}
      {problem && <ProblemCard problem={problem} />}
    </li>
  );
}
