/** How a device's power is known beside its own sensors: a plug, a shunt, declared watts. */
import { Button, Checkbox, Group, NumberInput, PasswordInput, Select, TextInput } from "@mantine/core";
import { useState, type FormEvent } from "react";
import { asProblem, call, client, type Problem } from "@/api/client";
import { rememberPower } from "@/api/queries";
import type { Device, PowerSettings, PowerSettingsIn } from "@/api/types";
import { ProblemCard } from "@/app/ProblemCard";

const KINDS = ["shelly", "tasmota"] as const;
type Kind = (typeof KINDS)[number];

interface Plug {
  kind: Kind | null;
  host: string;
  port: number | string;
  user: string;
  password: string;
}

const plugOf = ({ meter }: PowerSettings): Plug => ({ kind: meter?.kind ?? null, host: meter?.host ?? "", port: meter?.port ?? 80, user: meter?.user ?? "", password: "" });
const numberOrNull = (value: number | string): number | null => (typeof value === "number" ? value : null);

export function SettingsForm({ device }: { device: Device }) {
  const { name, power } = device;
  const declared = power.model?.source === "declared" ? power.model : null;
  const calibrated = power.model?.source === "calibrated";
  const [plug, setPlug] = useState<Plug>(() => plugOf(power));
  const [shunt, setShunt] = useState<number | string>(power.shunt_ohm ?? "");
  const [idle, setIdle] = useState<number | string>(declared?.idle_w ?? "");
  const [busy, setBusy] = useState<number | string>(declared?.busy_w ?? "");
  const [keep, setKeep] = useState(true);
  const [sending, setSending] = useState(false);
  const [saved, setSaved] = useState(false);
  const [problem, setProblem] = useState<Problem | null>(null);
  const half = (numberOrNull(idle) === null) !== (numberOrNull(busy) === null);
  const complete = !half && (plug.kind === null || plug.host.trim() !== "");

  const save = (event: FormEvent) => {
    event.preventDefault();
    const body: PowerSettingsIn = {
      meter:
        plug.kind === null
          ? null
          : { kind: plug.kind, host: plug.host.trim(), port: numberOrNull(plug.port) ?? 80, user: plug.user.trim(), password: plug.password === "" ? null : plug.password },
      shunt_ohm: numberOrNull(shunt),
      idle_power_w: numberOrNull(idle),
      busy_power_w: numberOrNull(busy),
      keep_calibration: calibrated && keep && numberOrNull(busy) === null,
    };
    setSending(true);
    setProblem(null);
    setSaved(false);
    call(client.PUT("/api/devices/{name}/power", { params: { path: { name } }, body }))
      .then(
        (now) => {
          rememberPower(name, now);
          setSaved(true);
        },
        (error: unknown) => setProblem(asProblem(error)),
      )
      .finally(() => setSending(false));
  };
  return (
    <form className="device-form" onSubmit={save}>
      <fieldset>
        <legend>A plug that measures at the wall</legend>
        <div className="plug-fields">
          <Select
            label="Kind"
            value={plug.kind ?? "none"}
            onChange={(value) => setPlug({ ...plug, kind: KINDS.find((kind) => kind === value) ?? null })}
            allowDeselect={false}
            data={[
              { value: "none", label: "none" },
              { value: "shelly", label: "Shelly" },
              { value: "tasmota", label: "Tasmota" },
            ]}
            data-testid="meter-kind"
          />
          {plug.kind !== null && (
            <>
              <TextInput label="Host" required placeholder="192.168.1.40" value={plug.host} onChange={(event) => setPlug({ ...plug, host: event.currentTarget.value })} data-testid="meter-host" />
              <NumberInput label="Port" min={1} max={65535} hideControls value={plug.port} onChange={(port) => setPlug({ ...plug, port })} data-testid="meter-port" />
              <TextInput label="User" value={plug.user} autoComplete="off" onChange={(event) => setPlug({ ...plug, user: event.currentTarget.value })} />
              <PasswordInput label="Password" autoComplete="off" placeholder={power.meter?.has_password ? "kept" : ""} value={plug.password} onChange={(event) => setPlug({ ...plug, password: event.currentTarget.value })} />
            </>
          )}
        </div>
        <p className="hint">The device asks the plug itself. Its password is kept in memory until the studio ends.</p>
      </fieldset>
      <fieldset>
        <legend>A shunt</legend>
        <NumberInput label="Shunt of the INA219 or INA226, in ohms" min={0} max={10} step={0.01} decimalScale={6} value={shunt} onChange={setShunt} placeholder="as the driver says" w={330} data-testid="shunt" />
      </fieldset>
      <fieldset>
        <legend>Declared watts</legend>
        <Group grow align="flex-start">
          <NumberInput label="Idle watts" min={0} value={idle} onChange={setIdle} data-testid="power-idle" />
          <NumberInput label="Busy watts" min={0} value={busy} onChange={setBusy} error={half ? "Both, or none." : null} data-testid="power-busy" />
        </Group>
        <p className="hint">Energy is then estimated from how busy the cores are, and marked so.{calibrated ? " They replace the calibrated model." : ""}</p>
        {calibrated && numberOrNull(busy) === null && <Checkbox mt={8} size="xs" label="Keep the calibrated model" checked={keep} onChange={(event) => setKeep(event.currentTarget.checked)} />}
      </fieldset>
      {problem && <ProblemCard problem={problem} />}
      <footer className="dialog-foot">
        <span role="status" className="hint" data-testid="power-saved">
          {saved ? "Saved. A running agent has it already." : ""}
        </span>
        <Button type="submit" loading={sending} disabled={!complete} data-testid="power-save">
          Save
        </Button>
      </footer>
    </form>
  );
}
