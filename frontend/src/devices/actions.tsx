/** What can be done to a device, with its dialogs: remove (asks first), log, live charts. */
import { Button, Group, Modal } from "@mantine/core";
import { useQuery } from "@tanstack/react-query";
import { useState, type ReactNode } from "react";
import { asProblem, call, client } from "@/api/client";
import type { DeviceLive } from "@/api/types";
import { formatDuration, formatFps } from "@/app/format";
import { forgetDevice, logQuery, rememberDevice } from "@/api/queries";
import { Chart } from "@/live/Chart";
import { formatMetric, METRIC_LABELS, powerNote } from "@/live/DeviceLivePanel";
import { describeLinks } from "@/live/flow";
import { METRICS, metricOf } from "@/live/series";
import { useLive } from "@/live/store";
import { tellProblem } from "@/app/notify";
import { ProblemCard } from "@/app/ProblemCard";

type Open = { kind: "remove" | "log" | "charts"; name: string } | null;

interface DeviceDialogs {
  actions: { check: (name: string) => void; remove: (name: string) => void; showLog: (name: string) => void; showCharts: (name: string) => void };
  checking: string | null;
  dialogs: ReactNode;
}

export function useDeviceDialogs(): DeviceDialogs {
  const [open, setOpen] = useState<Open>(null);
  const [checking, setChecking] = useState<string | null>(null);
  const check = (name: string) => {
    setChecking(name);
    call(client.POST("/api/devices/{name}/check", { params: { path: { name } } }))
      .then(rememberDevice, tellProblem)
      .finally(() => setChecking(null));
  };
  const close = () => setOpen(null);
  return {
    checking,
    actions: {
      check,
      remove: (name) => setOpen({ kind: "remove", name }),
      showLog: (name) => setOpen({ kind: "log", name }),
      showCharts: (name) => setOpen({ kind: "charts", name }),
    },
    dialogs: (
      <>
        {open?.kind === "remove" && <RemoveDialog name={open.name} close={close} />}
        {open?.kind === "log" && <LogDialog name={open.name} close={close} />}
        {open?.kind === "charts" && <ChartsDialog name={open.name} close={close} />}
      </>
    ),
  };
}

function RemoveDialog({ name, close }: { name: string; close: () => void }) {
  const [busy, setBusy] = useState(false);
  const [error, setError] = useState<unknown>(null);
  const remove = () => {
    setBusy(true);
    call(client.DELETE("/api/devices/{name}", { params: { path: { name } } })).then(
      () => {
        forgetDevice(name);
        close();
      },
      (reason: unknown) => {
        setError(reason);
        setBusy(false);
      },
    );
  };
  return (
    <Modal opened onClose={close} title={`Remove ${name}?`} size="sm" centered>
      <p className="dialog-text">Its agent ends, what was installed there is deleted, and the studio forgets it. Layers placed on it keep their place in the plan until you move them.</p>
      {error !== null && <ProblemCard problem={asProblem(error)} />}
      <Group justify="flex-end" mt="md">
        <Button variant="default" onClick={close}>
          Keep
        </Button>
        <Button color="red" loading={busy} onClick={remove} data-testid="confirm-remove">
          Remove
        </Button>
      </Group>
    </Modal>
  );
}

function LogDialog({ name, close }: { name: string; close: () => void }) {
  const { data, error } = useQuery(logQuery(name));
  return (
    <Modal opened onClose={close} title={`Agent log of ${name}`} size="xl" centered>
      {error !== null && <ProblemCard problem={asProblem(error)} />}
      {data && (data.lines.length === 0 ? <p className="dialog-text">The agent has written nothing yet.</p> : <pre className="log">{data.lines.join("\n")}</pre>)}
    </Modal>
  );
}

function StageTable({ live }: { live: DeviceLive }) {
  const duration = (seconds: number | null | undefined) => (seconds == null ? "–" : formatDuration(seconds));
  return (
    <section className="stage-table">
      <h3>
        Stages <b>{describeLinks(live)}</b>
      </h3>
      <table>
        <thead>
          <tr>
            {["Stage", "Frames/s", "Compute", "Wait", "Queued", "Frames", "Lost"].map((title) => (
              <th key={title} scope="col">
                {title}
              </th>
            ))}
          </tr>
        </thead>
        <tbody>
          {live.stages.map((stage) => (
            <tr key={stage.stage}>
              <th scope="row">{stage.stage}</th>
              <td>{formatFps(stage.frames_per_s)}</td>
              <td>{duration(stage.compute_s)}</td>
              <td>{duration(stage.queue_wait_s)}</td>
              <td>{stage.queued}</td>
              <td>{stage.frames}</td>
              <td>{stage.lost}</td>
            </tr>
          ))}
        </tbody>
      </table>
    </section>
  );
}

function ChartsDialog({ name, close }: { name: string; close: () => void }) {
  const latest = useLive((state) => state.latest[name]);
  return (
    <Modal opened onClose={close} title={`${name}, the last minute`} size="xl" centered>
      {!latest && <p className="dialog-text">No figures yet: they come while a deployment runs on this device.</p>}
      {latest && (
        <div className="chart-grid">
          {METRICS.map((metric) => {
            const value = metricOf(latest.live, metric);
            const note = metric === "power" ? powerNote(latest) : null;
            return (
              <section key={metric}>
                <h3>
                  {METRIC_LABELS[metric]} <b>{value === null ? (note ?? "no figure") : formatMetric(metric, value)}</b>
                  {value !== null && note !== null && <small> {note}</small>}
                </h3>
                {value === null ? <p className="chart-empty">{metric === "power" ? "no sensor, and no declared watts" : "no figure"}</p> : <Chart device={name} metric={metric} height={150} axes format={(tick) => formatMetric(metric, tick)} max={metric === "cpu" ? 1 : undefined} />}
              </section>
            );
          })}
          <StageTable live={latest.live} />
        </div>
      )}
    </Modal>
  );
}
