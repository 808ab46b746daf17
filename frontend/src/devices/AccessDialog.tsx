/** Getting at a device again: its host key is unknown or has changed, or its password is needed. */
import { Button, Checkbox, PasswordInput } from "@mantine/core";
import { useState, type FormEvent } from "react";
import { asProblem, call, client, type Problem } from "@/api/client";
import { rememberDevice } from "@/api/queries";
import type { Device, ProblemBody } from "@/api/types";
import { Dialog } from "@/app/Dialog";
import { mention } from "@/app/notify";
import { ProblemCard } from "@/app/ProblemCard";
import { confirmedKey, DeviceProblem, HostKeyQuestion, offeredKey } from "./HostKey";

export type Access = "host-key" | "password";

/** What would help against a device's problem; null where nothing here does. */
export function accessFor(problem: ProblemBody | null): { access: Access; words: string } | null {
  switch (problem?.code) {
    case "unknown_host_key":
      return { access: "host-key", words: "Compare its host key…" };
    case "changed_host_key":
      return { access: "host-key", words: "I know why it changed…" };
    case "password_needed":
    case "auth_failed":
      return { access: "password", words: "Give its password…" };
    default:
      return null;
  }
}

interface AccessDialogProps {
  device: Device;
  access: Access;
  close: () => void;
}

export function AccessDialog({ device, access, close }: AccessDialogProps) {
  return (
    <Dialog onClose={close} title={access === "password" ? `Password of ${device.name}` : `Host key of ${device.name}`}>
      {access === "password" ? <PasswordForm device={device} close={close} /> : <HostKeyForm device={device} close={close} />}
    </Dialog>
  );
}

function HostKeyForm({ device, close }: { device: Device; close: () => void }) {
  const { name } = device;
  const path = { params: { path: { name } } };
  const [problem, setProblem] = useState<Problem | ProblemBody | null>(device.problem);
  const [busy, setBusy] = useState(false);
  const settle = (work: Promise<Device | null>) => {
    setBusy(true);
    work
      .then(
        (answer) => {
          if (answer) rememberDevice(answer);
          const left = answer?.problem ?? null;
          setProblem(left);
          if (left === null) close();
        },
        (error: unknown) => setProblem(asProblem(error)),
      )
      .finally(() => setBusy(false));
  };
  const check = (trusted_fingerprint: string | null) => call(client.POST("/api/devices/{name}/check", { ...path, body: { trusted_fingerprint } }));
  const forget = async () => {
    const { elsewhere } = await call(client.POST("/api/devices/{name}/forget-key", { ...path, body: { jump_hosts: false } }));
    if (elsewhere[0]) mention("A file of yours still holds the old key", elsewhere.map(({ file, line }) => `Remove line ${line} of ${file} (ssh-keygen -R), then check again.`).join(" "));
    return check(null);
  };
  const offered = offeredKey(problem, device.address);
  if (offered !== null) {
    return (
      <HostKeyQuestion key={confirmedKey(offered)} offered={offered} target={device.address}>
        <footer className="dialog-foot">
          <Button variant="default" onClick={close}>
            Not now
          </Button>
          <Button loading={busy} onClick={() => settle(check(confirmedKey(offered)))} data-testid="accept-fingerprint" data-autofocus>
            It is the same: trust it
          </Button>
        </footer>
      </HostKeyQuestion>
    );
  }
  return (
    <div className="device-form">
      {problem && <DeviceProblem problem={problem} />}
      <p className="dialog-text">
        Only if you know why the key changed (the system was installed anew, the board was exchanged): forget the old key, and compare the new one. If you do not know, somebody may stand in between: do not go on.
      </p>
      <footer className="dialog-foot">
        <Button variant="default" onClick={close} data-autofocus>
          Leave it
        </Button>
        <Button color="red" loading={busy} onClick={() => settle(forget())} data-testid="forget-key">
          Forget the old key
        </Button>
      </footer>
    </div>
  );
}

function PasswordForm({ device, close }: { device: Device; close: () => void }) {
  const [password, setPassword] = useState("");
  const [keep, setKeep] = useState(device.login_kept === "keyring");
  const [busy, setBusy] = useState(false);
  const [problem, setProblem] = useState<Problem | null>(null);
  const send = (event: FormEvent) => {
    event.preventDefault();
    setBusy(true);
    setProblem(null);
    call(client.POST("/api/devices/{name}/password", { params: { path: { name: device.name } }, body: { password, keep } }))
      .then(
        (answer) => {
          rememberDevice(answer);
          close();
        },
        (error: unknown) => setProblem(asProblem(error)),
      )
      .finally(() => setBusy(false));
  };
  return (
    <form className="device-form" onSubmit={send}>
      <PasswordInput label="Password" required value={password} onChange={(event) => setPassword(event.currentTarget.value)} autoComplete="off" data-autofocus data-testid="password-again" />
      <Checkbox size="xs" label="Keep the password in the system's keyring" description={keep ? "Where there is one." : "Otherwise it is kept in memory until the studio ends."} checked={keep} onChange={(event) => setKeep(event.currentTarget.checked)} />
      {problem && <ProblemCard problem={problem} />}
      <footer className="dialog-foot">
        <Button type="submit" loading={busy} disabled={password === ""} data-testid="password-send">
          Check with it
        </Button>
      </footer>
    </form>
  );
}
