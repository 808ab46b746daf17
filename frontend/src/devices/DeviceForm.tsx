/** Registering a device, with the questions about host keys in between. */
import { Button, Checkbox, Collapse, Group, NumberInput, PasswordInput, SegmentedControl, Select, TextInput } from "@mantine/core";
import { useQuery } from "@tanstack/react-query";
import { useEffect, useRef, useState, type FormEvent } from "react";
import { asProblem, call, client, type Problem } from "@/api/client";
import { rememberDevice, sshHostsQuery } from "@/api/queries";
import type { Device, DeviceIn, SshHost } from "@/api/types";
import { joinAddress, splitAddress, type AddressParts } from "./address";
import { confirmedKey, DeviceProblem, HostKeyQuestion, offeredKey } from "./HostKey";

interface DeviceFormProps {
  taken: readonly string[];
  done: (device: Device) => void;
}

const orNull = (text: string): string | null => (text.trim() === "" ? null : text.trim());
const numberOrNull = (value: number | string): number | null => (typeof value === "number" ? value : null);

interface Login {
  keyFile: string;
  password: string;
  keep: boolean;
}

interface Limits {
  idle: number | string;
  busy: number | string;
  memory: number | string;
}

export function DeviceForm({ taken, done }: DeviceFormProps) {
  const [kind, setKind] = useState("ssh");
  const [name, setName] = useState("");
  const [address, setAddress] = useState<AddressParts>({ host: "", user: "", port: "" });
  const [login, setLogin] = useState<Login>({ keyFile: "", password: "", keep: false });
  const [limits, setLimits] = useState<Limits>({ idle: "", busy: "", memory: "" });
  const [more, setMore] = useState(false);
  const [sending, setSending] = useState(false);
  const [problem, setProblem] = useState<Problem | null>(null);
  const request = useRef<AbortController | null>(null);
  useEffect(() => () => request.current?.abort(), []);

  const written = kind === "local" ? "local:" : joinAddress(splitAddress(address.host, address));
  const nameError = taken.includes(name.trim()) ? "This name is taken." : null;
  const complete = name.trim() !== "" && (kind === "local" || address.host.trim() !== "") && nameError === null;

  const send = (trusted: string | null) => {
    const controller = new AbortController();
    request.current = controller;
    setSending(true);
    setProblem(null);
    const megabytes = numberOrNull(limits.memory);
    const secret = kind === "ssh" && login.password !== "" ? login.password : null;
    const body: DeviceIn = {
      name: name.trim(),
      address: written,
      key_file: kind === "ssh" ? orNull(login.keyFile) : null,
      password: secret,
      keep_password: secret !== null && login.keep,
      trusted_fingerprint: trusted,
      cpus: null,
      memory_bytes: megabytes === null ? null : Math.round(megabytes * 1e6),
      idle_power_w: numberOrNull(limits.idle),
      busy_power_w: numberOrNull(limits.busy),
    };
    call(client.POST("/api/devices", { body, signal: controller.signal })).then(
      (device) => {
        rememberDevice(device);
        done(device);
      },
      (error: unknown) => {
        if (controller.signal.aborted) return;
        setProblem(asProblem(error));
        setSending(false);
      },
    );
  };
  const submit = (event: FormEvent) => {
    event.preventDefault();
    if (complete) send(null);
  };

  const offered = offeredKey(problem, written);
  if (offered !== null) {
    return (
      <HostKeyQuestion key={confirmedKey(offered)} offered={offered} target={written}>
        <Group justify="space-between">
          <Button variant="default" onClick={() => setProblem(null)}>
            Back
          </Button>
          <Button onClick={() => send(confirmedKey(offered))} data-testid="accept-fingerprint" data-autofocus>
            It is the same: trust it
          </Button>
        </Group>
      </HostKeyQuestion>
    );
  }
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
        <SshFields
          address={address}
          setAddress={setAddress}
          login={login}
          setLogin={setLogin}
          suggest={(host) => {
            setAddress({ host: host.alias, user: "", port: "" });
            if (name.trim() === "") setName(host.alias);
          }}
        />
      )}
      <button type="button" className="link" aria-expanded={more} onClick={() => setMore(!more)}>
        {more ? "Hide power and memory" : "Power and memory…"}
      </button>
      <Collapse expanded={more}>
        <Group grow align="flex-start">
          <NumberInput label="Idle watts" min={0} value={limits.idle} onChange={(idle) => setLimits({ ...limits, idle })} data-testid="device-idle" />
          <NumberInput label="Busy watts" min={0} value={limits.busy} onChange={(busy) => setLimits({ ...limits, busy })} data-testid="device-busy" />
          <NumberInput label="Memory, MB" min={1} value={limits.memory} onChange={(memory) => setLimits({ ...limits, memory })} data-testid="device-memory" />
        </Group>
        <p className="hint">Watts: without a power sensor, energy is estimated from these and marked so. Memory: the most that may be used, where it is less than the device has.</p>
      </Collapse>
      {problem && <DeviceProblem problem={problem} />}
      <Group justify="flex-end">
        {sending && (
          <Button
            variant="default"
            onClick={() => {
              request.current?.abort();
              setSending(false);
            }}
          >
            Cancel
          </Button>
        )}
        <Button type="submit" loading={sending} disabled={!complete} data-testid="device-submit">
          Add device
        </Button>
      </Group>
      {sending && (
        <p className="hint" role="status">
          Connecting and checking…
        </p>
      )}
    </form>
  );
}

interface SshFieldsProps {
  address: AddressParts;
  setAddress: (address: AddressParts) => void;
  login: Login;
  setLogin: (login: Login) => void;
  suggest: (host: SshHost) => void;
}

function SshFields({ address, setAddress, login, setLogin, suggest }: SshFieldsProps) {
  const known = useQuery({ ...sshHostsQuery, retry: false }).data ?? [];
  const alias = known.find((host) => host.alias === address.host.trim());
  return (
    <>
      {known.length > 0 && (
        <Select
          label="From ~/.ssh/config"
          description="Fills in the alias; its host, user, port, key and jump hosts are taken from there"
          placeholder={`${known.length} known`}
          searchable
          clearable
          value={alias?.alias ?? null}
          onChange={(value) => {
            const host = known.find((one) => one.alias === value);
            if (host) suggest(host);
          }}
          data={known.map((host) => ({ value: host.alias, label: host.alias }))}
          data-testid="ssh-host"
        />
      )}
      <div className="address-fields">
        <TextInput
          label="Host"
          placeholder="192.168.1.20"
          required
          value={address.host}
          onChange={(event) => setAddress({ ...address, host: event.currentTarget.value })}
          onBlur={() => setAddress(splitAddress(address.host, address))}
          data-testid="device-address"
          autoComplete="off"
          spellCheck={false}
        />
        <TextInput label="User" placeholder={alias?.user ?? "as here"} value={address.user} onChange={(event) => setAddress({ ...address, user: event.currentTarget.value })} data-testid="device-user" autoComplete="off" spellCheck={false} />
        <TextInput label="Port" placeholder={String(alias?.port ?? 22)} inputMode="numeric" value={address.port} onChange={(event) => setAddress({ ...address, port: event.currentTarget.value.replace(/\D/g, "") })} data-testid="device-port" autoComplete="off" />
      </div>
      {alias && (
        <p className="hint" data-testid="alias-note">
          {alias.alias} is {alias.user === null ? "" : `${alias.user}@`}
          {alias.host}:{alias.port}
          {alias.jump === null ? "" : `, by way of ${alias.jump}`}
        </p>
      )}
      <Group grow align="flex-start">
        <TextInput label="Key file" description="On the studio's machine" placeholder="your usual keys" value={login.keyFile} onChange={(event) => setLogin({ ...login, keyFile: event.currentTarget.value })} data-testid="device-key" />
        <PasswordInput label="Password" description="Only where no key lets you in" value={login.password} onChange={(event) => setLogin({ ...login, password: event.currentTarget.value })} data-testid="device-password" autoComplete="off" />
      </Group>
      {login.password !== "" && (
        <Checkbox
          size="xs"
          label="Keep the password in the system's keyring"
          description={login.keep ? "Where there is one; it is asked for nowhere else." : "Otherwise it is kept in memory until the studio ends, and written nowhere."}
          checked={login.keep}
          onChange={(event) => setLogin({ ...login, keep: event.currentTarget.checked })}
          data-testid="device-keep"
        />
      )}
    </>
  );
}
