/** What can be done to a device, with its dialogs. */
import { useState, type ReactNode } from "react";
import { call, client } from "@/api/client";
import { rememberDevice } from "@/api/queries";
import { lazily } from "@/app/lazily";
import { tellProblem } from "@/app/notify";
import { useDeviceCommands } from "./useDeviceCommands";

const ChartsDialog = lazily(() => import("@/live/ChartsDialog").then(({ ChartsDialog: part }) => part));
const LogDialog = lazily(() => import("./LogDialog").then(({ LogDialog: part }) => part));
const PowerDialog = lazily(() => import("@/power/PowerDialog").then(({ PowerDialog: part }) => part));
const ProfileDialog = lazily(() => import("@/profiles/ProfileDialog").then(({ ProfileDialog: part }) => part));
const RemoveDialog = lazily(() => import("./RemoveDialog").then(({ RemoveDialog: part }) => part));

const DIALOGS = { remove: RemoveDialog, log: LogDialog, charts: ChartsDialog, profile: ProfileDialog, power: PowerDialog } as const;

export interface DeviceDoings {
  check: (name: string) => void;
  remove: (name: string) => void;
  showLog: (name: string) => void;
  showCharts: (name: string) => void;
  profile: (name: string) => void;
  power: (name: string) => void;
}

interface Open {
  kind: keyof typeof DIALOGS;
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
  const actions: DeviceDoings = {
    check,
    remove: (name) => setOpen({ kind: "remove", name }),
    showLog: (name) => setOpen({ kind: "log", name }),
    showCharts: (name) => setOpen({ kind: "charts", name }),
    profile: (name) => setOpen({ kind: "profile", name }),
    power: (name) => setOpen({ kind: "power", name }),
  };
  useDeviceCommands(actions);
  return {
    checking,
    actions,
    dialogs: open && <OpenDialog {...open} close={close} />,
  };
}

function OpenDialog({ kind, name, close }: Open & { close: () => void }) {
  const Shown = DIALOGS[kind];
  return <Shown name={name} close={close} />;
}
