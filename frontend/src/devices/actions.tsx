/** What can be done to a device, with its dialogs. */
import { Button, Group } from "@mantine/core";
import { useQuery } from "@tanstack/react-query";
import { lazy, Suspense, useState, type ReactNode } from "react";
import { asProblem, call, client } from "@/api/client";
import { forgetDevice, logQuery, rememberDevice } from "@/api/queries";
import { Dialog } from "@/app/Dialog";
import { mention, tellProblem } from "@/app/notify";
import { ProblemCard } from "@/app/ProblemCard";

const ChartsDialog = lazy(() => import("@/live/ChartsDialog").then(({ ChartsDialog: found }) => ({ default: found })));
const PowerDialog = lazy(() => import("@/power/PowerDialog").then(({ PowerDialog: found }) => ({ default: found })));
const ProfileDialog = lazy(() => import("@/profiles/ProfileDialog").then(({ ProfileDialog: found }) => ({ default: found })));

export interface DeviceDoings {
  check: (name: string) => void;
  remove: (name: string) => void;
  showLog: (name: string) => void;
  showCharts: (name: string) => void;
  profile: (name: string) => void;
  power: (name: string) => void;
}

interface Open {
  kind: "remove" | "log" | "charts" | "profile" | "power";
  name: string;
}

interface DeviceDialogs {
  actions: DeviceDoings;
  checking: ReadonlySet<string>;
  dialogs: ReactNode;
}

export function useDeviceDialogs(): DeviceDialogs {
  const [open, setOpen] = useState<Open | null>(null);
  const [checking, setChecking] = useState<ReadonlySet<string>>(new Set());
  const check = (name: string) => {
    setChecking((now) => new Set(now).add(name));
    call(client.POST("/api/devices/{name}/check", { params: { path: { name } } }))
      .then(rememberDevice, tellProblem)
      .finally(() => setChecking((now) => new Set([...now].filter((other) => other !== name))));
  };
  const close = () => setOpen(null);
  return {
    checking,
    actions: {
      check,
      remove: (name) => setOpen({ kind: "remove", name }),
      showLog: (name) => setOpen({ kind: "log", name }),
      showCharts: (name) => setOpen({ kind: "charts", name }),
      profile: (name) => setOpen({ kind: "profile", name }),
      power: (name) => setOpen({ kind: "power", name }),
    },
    dialogs: open && (
      <Suspense fallback={null}>
        {open.kind === "remove" && <RemoveDialog name={open.name} close={close} />}
        {open.kind === "log" && <LogDialog name={open.name} close={close} />}
        {open.kind === "charts" && <ChartsDialog name={open.name} close={close} />}
        {open.kind === "profile" && <ProfileDialog name={open.name} close={close} />}
        {open.kind === "power" && <PowerDialog name={open.name} close={close} />}
      </Suspense>
    ),
  };
}

function RemoveDialog({ name, close }: { name: string; close: () => void }) {
  const [busy, setBusy] = useState(false);
  const [error, setError] = useState<unknown>(null);
  const remove = () => {
    setBusy(true);
    call(client.DELETE("/api/devices/{name}", { params: { path: { name } } })).then(
      ({ uninstalled, note }) => {
        forgetDevice(name);
        close();
        if (!uninstalled && note !== "") mention(`${name} is forgotten, but not cleaned`, note);
      },
      (reason: unknown) => {
        setError(reason);
        setBusy(false);
      },
    );
  };
  return (
    <Dialog onClose={close} title={`Remove ${name}?`} size="sm">
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
    </Dialog>
  );
}

function LogDialog({ name, close }: { name: string; close: () => void }) {
  const { data, error } = useQuery(logQuery(name));
  return (
    <Dialog onClose={close} title={`Agent log of ${name}`} size="xl">
      {error !== null && <ProblemCard problem={asProblem(error)} />}
      {data && (data.lines.length === 0 ? <p className="dialog-text">The agent has written nothing yet.</p> : <pre className="log" tabIndex={0}>{data.lines.join("\n")}</pre>)}
    </Dialog>
  );
}
