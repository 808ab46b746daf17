/** Registering a device, with the question about its host key in between. */
import { Button, Collapse, Group, NumberInput, PasswordInput, SegmentedControl, TextInput } from "@mantine/core";
import { useState, type FormEvent } from "react";
import { asProblem, call, client, type Problem } from "@/api/client";
import { rememberDevice } from "@/api/queries";
import type { Device, DeviceIn } from "@/api/types";
import { ProblemCard } from "@/app/ProblemCard";

interface DeviceFormProps {
  taken: readonly string[];
  done: (device: Device) => void;
}

function detail(problem: Problem, name: string): string | null {
  const value = problem.details[name];
  return typeof value === "string" ? value : null;
}

const orNull = (text: string): string | null => (text.trim() === "" ? null : text.trim());
const numberOrNull = (value: number | string): number | null => (typeof value === "number" ? value : null);

export function DeviceForm({ taken, done }: DeviceFormProps) {
  const [kind, setKind] = useState("ssh");
  const [name, setName] = useState("");
  const [host, setHost] = useState("");
  const [keyFile, setKeyFile] = useState("");
  const [password, setPassword] = useState("");
  const [idle, setIdle] = useState<number | string>("");
  const [busyWatts, setBusyWatts] = useState<number | string>("");
  const [memory, setMemory] = useState<number | string>("");
  const [more, setMore] = useState(false);
  const [sending, setSending] = useState(false);
  const [problem, setProblem] = useState<Problem | null>(null);

  const address = kind === "local" ? "local:" : host.includes("://") ? host.trim() : `ssh://${host.trim()}`;
  const nameError = taken.includes(name.trim()) ? "This name is taken." : null;
  const complete = name.trim() !== "" && (kind === "local" || host.trim() !== "") && nameError === null;

  const send = (trusted: string | null) => {
    setSending(true);
    const megabytes = numberOrNull(memory);
    setProblem(null);
    const body: DeviceIn = {
      name: name.trim(),
      address,
      keep_password: false,
      key_file: kind === "ssh" ? orNull(keyFile) : null,
      password: kind === "ssh" && password !== "" ? password : null,
      trusted_fingerprint: trusted,
      cpus: null,
      memory_bytes: megabytes === null ? null : Math.round(megabytes * 1e6),
      idle_power_w: numberOrNull(idle),
      busy_power_w: numberOrNull(busyWatts),
    };
    call(client.POST("/api/devices", { body })).then(
      (device) => {
        rememberDevice(device);
        done(device);
      },
      (error: unknown) => {
        setProblem(asProblem(error));
        setSending(false);
      },
    );
  };
  const submit = (event: FormEvent) => {
    event.preventDefault();
    if (complete) send(null);
  };

  const offered = problem?.code === "unknown_host_key" ? detail(problem, "fingerprint") : null;
  if (offered !== null) return <HostKeyQuestion address={address} fingerprint={offered} accept={() => send(offered)} back={() => setProblem(null)} />;
  return (
    <form className="device-form" onSubmit={submit}>
      <SegmentedControl
        fullWidth
        value={kind}
        onChange={setKind}
        aria-label="Kind of device"
        data={[
          { value: "ssh", label: "A board, over SSH" },
          { value: "local", label: "A process on this machine" },
        ]}
      />
      <TextInput label="Name" placeholder="pi-1" required value={name} error={nameError} onChange={(event) => setName(event.currentTarget.value)} data-testid="device-name" data-autofocus />
      {kind === "ssh" && (
        <>
          <TextInput label="Address" description="user@host, with :port where it is not 22" placeholder="pi@192.168.1.20" required value={host} onChange={(event) => setHost(event.currentTarget.value)} data-testid="device-address" />
          <Group grow align="flex-start">
            <TextInput label="Key file" description="On the studio's machine; empty: your usual keys" placeholder="~/.ssh/id_ed25519" value={keyFile} onChange={(event) => setKeyFile(event.currentTarget.value)} data-testid="device-key" />
            <PasswordInput label="Password" description="Kept in memory only; never written down" value={password} onChange={(event) => setPassword(event.currentTarget.value)} data-testid="device-password" autoComplete="off" />
          </Group>
        </>
      )}
      <button type="button" className="link" aria-expanded={more} onClick={() => setMore(!more)}>
        {more ? "Hide power and memory" : "Power and memory…"}
      </button>
      <Collapse expanded={more}>
        <Group grow align="flex-start">
          <NumberInput label="Idle watts" min={0} value={idle} onChange={setIdle} data-testid="device-idle" />
          <NumberInput label="Busy watts" min={0} value={busyWatts} onChange={setBusyWatts} data-testid="device-busy" />
          <NumberInput label="Memory, MB" min={1} value={memory} onChange={setMemory} data-testid="device-memory" />
        </Group>
        <p className="hint">Watts: without a power sensor, energy is estimated from these and marked so. Memory: the most that may be used, where it is less than the device has.</p>
      </Collapse>
      {problem && <DeviceProblem problem={problem} />}
      <Group justify="flex-end">
        <Button type="submit" loading={sending} disabled={!complete} data-testid="device-submit">
          {sending ? "Connecting and checking…" : "Add device"}
        </Button>
      </Group>
    </form>
  );
}

function HostKeyQuestion({ address, fingerprint, accept, back }: { address: string; fingerprint: string; accept: () => void; back: () => void }) {
  return (
    <div className="device-form">
      <div className="host-key">
        <h3>Is this your device?</h3>
        <p>
          The studio has not met {address} before. Compare this fingerprint of its host key with the one that the device itself shows by
        </p>
        <pre>ssh-keygen -lf /etc/ssh/ssh_host_ed25519_key.pub</pre>
        <code className="fingerprint" data-testid="fingerprint">
          {fingerprint}
        </code>
      </div>
      <Group justify="space-between">
        <Button variant="default" onClick={back}>
          Back
        </Button>
        <Button onClick={accept} data-testid="accept-fingerprint">
          It is the same: trust this device
        </Button>
      </Group>
    </div>
  );
}

/** A changed key shows both fingerprints and offers no way on: the studio refuses, and says what to do. */
function DeviceProblem({ problem }: { problem: Problem }) {
  const known = detail(problem, "known_fingerprint");
  const offered = detail(problem, "presented_fingerprint");
  return (
    <ProblemCard problem={problem}>
      {known !== null && offered !== null && (
        <dl className="fingerprints">
          <dt>Known</dt>
          <dd>{known}</dd>
          <dt>Shown now</dt>
          <dd data-testid="fingerprint">{offered}</dd>
        </dl>
      )}
    </ProblemCard>
  );
}
