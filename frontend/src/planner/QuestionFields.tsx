/** What may be used and what must be kept: devices, limits, strategies, pins. */
import { Button, Checkbox, CloseButton, NumberInput, Select, Switch } from "@mantine/core";
import { IconPin } from "@tabler/icons-react";
import { useState } from "react";
import type { Device } from "@/api/types";
import { formatBytes, plural } from "@/app/format";
import { own } from "@/app/own";
import { DeviceSign } from "@/devices/DeviceSign";
import { useMarks } from "@/devices/marks";
import { useView } from "@/editor/view";
import { at, type Network } from "@/graph/network";
import { planStore } from "@/plan/store";
import { listLayers } from "@/plan/words";
import { allowedStrategies, chosenDevices, pinGroups, plannable, pinsOf, typedNumber, withoutPins } from "./question";
import type { QuestionForm } from "./questionForm";
import { changeForm, usePlanner } from "./store";
import { OBJECTIVES, STRATEGY_WORDS } from "./words";

interface FieldsProps {
  devices: readonly Device[];
  network: Network;
}

export function ObjectiveField() {
  const objective = usePlanner(({ form }) => form.objective);
  const known = OBJECTIVES.map(([value, label]) => ({ value, label }));
  return (
    <Select
      size="xs"
      label="What is to be best"
      value={objective}
      onChange={(value) => changeForm({ objective: known.find((one) => one.value === value)?.value ?? objective })}
      data={known}
      allowDeselect={false}
      data-testid="objective"
    />
  );
}

export function QuestionFields({ devices, network }: FieldsProps) {
  return (
    <>
      <DeviceFields devices={devices} />
      <LimitFields devices={devices} />
      <Strategies />
      <Pins network={network} />
    </>
  );
}

function DeviceFields({ devices }: Pick<FieldsProps, "devices">) {
  const { without, memoryMb } = usePlanner(({ form }) => form);
  const marks = useMarks();
  const toggle = (name: string) => changeForm({ without: without.includes(name) ? without.filter((one) => one !== name) : [...without, name] });
  return (
    <fieldset className="planner-group">
      <legend>Devices that may be used, and their memory at most</legend>
      <ul className="planner-devices">
        {devices.map(({ name, check, state }) => (
          <li key={name}>
            <Checkbox
              size="xs"
              checked={!without.includes(name) && state !== "cannot"}
              disabled={state === "cannot"}
              onChange={() => toggle(name)}
              label={
                <span className="split-place">
                  <DeviceSign mark={marks.get(name) ?? null} /> {name}
                </span>
              }
              data-testid={`use-${name}`}
            />
            <NumberInput
              size="xs"
              aria-label={`Memory of ${name} at most, in MB`}
              placeholder={check ? `${formatBytes(check.memory_bytes)}` : "its limit"}
              value={own(memoryMb, name) ?? ""}
              onChange={(value) => changeForm({ memoryMb: { ...memoryMb, [name]: typedNumber(value) } })}
              min={0}
              suffix=" MB"
              hideControls
              disabled={without.includes(name) || state === "cannot"}
              data-testid={`memory-of-${name}`}
            />
          </li>
        ))}
      </ul>
    </fieldset>
  );
}

/** The number fields: what is typed, in the person's unit. */
const NUMBERS = [
  ["minThroughput", "Throughput, at least", " frames/s", "min-throughput"],
  ["maxLatencyMs", "One frame, at most", " ms", "max-latency"],
  ["maxEnergyJ", "Energy each, at most", " J a frame", "max-energy"],
  ["maxTotalEnergyJ", "Energy of all, at most", " J a frame", "max-total-energy"],
  ["maxDevices", "Devices, at most", "", "max-devices"],
] as const satisfies readonly (readonly [keyof QuestionForm, string, string, string])[];

function LimitFields({ devices }: Pick<FieldsProps, "devices">) {
  const form = usePlanner((state) => state.form);
  return (
    <fieldset className="planner-group">
      <legend>Limits</legend>
      <div className="planner-limits">
        {NUMBERS.map(([field, label, suffix, testid]) => (
          <NumberInput
            key={field}
            size="xs"
            label={label}
            placeholder={suffix === "" ? "no limit" : `no limit,${suffix}`}
            suffix={suffix}
            value={form[field] ?? ""}
            onChange={(value) => changeForm({ [field]: field === "maxDevices" ? wholeNumber(value) : typedNumber(value) })}
            min={0}
            thousandSeparator=","
            allowDecimal={field !== "maxDevices"}
            hideControls
            data-testid={testid}
          />
        ))}
        <Select
          size="xs"
          label="The input reaches only"
          placeholder="any device"
          value={form.inputOn}
          onChange={(value) => changeForm({ inputOn: value })}
          data={chosenDevices(form, plannable(devices))}
          clearable
          data-testid="input-on"
        />
      </div>
    </fieldset>
  );
}

const wholeNumber = (value: string | number): number | null => {
  const number = typedNumber(value);
  return number === null ? null : Math.max(Math.round(number), 1);
};

const ONE_RUN_REASON = "one-run-reason";

function Strategies() {
  const form = usePlanner((state) => state.form);
  const { strategies, contiguous, codecs, maxChangePercent } = form;
  return (
    <fieldset className="planner-group">
      <legend>How layers may be placed</legend>
      <Switch
        size="xs"
        label="One run of layers per device"
        description="Few messages, and the best is proved soon."
        checked={contiguous}
        onChange={() => changeForm({ contiguous: !contiguous })}
        data-testid="contiguous"
      />
      {contiguous && (
        <p className="planner-reason" id={ONE_RUN_REASON} data-testid="one-run-reason">
          With one run per device no layer is divided or has replicas.
        </p>
      )}
      <div className="planner-strategies">
        {STRATEGY_WORDS.map(([strategy, title, what]) => (
          <Checkbox
            key={strategy}
            size="xs"
            label={title}
            title={contiguous ? undefined : what}
            checked={allowedStrategies(form).includes(strategy)}
            disabled={contiguous}
            aria-describedby={contiguous ? ONE_RUN_REASON : undefined}
            onChange={() => changeForm({ strategies: strategies.includes(strategy) ? strategies.filter((one) => one !== strategy) : [...strategies, strategy] })}
            data-testid={`strategy-${strategy}`}
          />
        ))}
        <Checkbox size="xs" label="Codecs on links, without loss" checked={codecs} onChange={() => changeForm({ codecs: !codecs })} data-testid="allow-codecs" />
      </div>
      <NumberInput
        size="xs"
        label="Answers may change by codecs, at most"
        value={maxChangePercent}
        onChange={(value) => changeForm({ maxChangePercent: typedNumber(value) ?? 0 })}
        min={0}
        max={1000}
        step={0.5}
        suffix=" %"
        hideControls
        className="planner-change"
      />
    </fieldset>
  );
}

function Pins({ network }: Pick<FieldsProps, "network">) {
  const pins = usePlanner(({ form }) => form.pins);
  const selection = useView((view) => view.selection);
  const marks = useMarks();
  const [said, setSaid] = useState("");
  const pin = () => {
    const { pins: more, skipped } = pinsOf(planStore.getState().content, [...selection].map((node) => at(network.nodes, node).name));
    changeForm({ pins: { ...pins, ...more } });
    setSaid(skipped.length === 0 ? "" : `Not pinned, because on no one device: ${listLayers(skipped)}.`);
  };
  return (
    <fieldset className="planner-group">
      <legend>Layers that stay where they are</legend>
      {pinGroups(pins).length > 0 && (
        <ul className="planner-pins" data-testid="pins">
          {pinGroups(pins).map(([device, layers]) => (
            <li key={device}>
              <DeviceSign mark={marks.get(device) ?? null} />
              <span title={layers.join(", ")}>
                {listLayers(layers)} on {device}
              </span>
              <CloseButton size="xs" aria-label={`Unpin ${listLayers(layers)}`} onClick={() => changeForm({ pins: withoutPins(pins, device) })} />
            </li>
          ))}
        </ul>
      )}
      <Button size="compact-xs" variant="default" leftSection={<IconPin size={13} />} onClick={pin} disabled={selection.size === 0} data-testid="pin-selection">
        {selection.size === 0 ? "Select layers to pin them" : `Pin ${plural(selection.size, "selected layer")}`}
      </Button>
      {said !== "" && (
        <p className="hint" role="status">
          {said}
        </p>
      )}
    </fieldset>
  );
}

export function SecondsField() {
  const seconds = usePlanner(({ form }) => form.seconds);
  return <NumberInput size="xs" label="Search for" value={seconds} onChange={(value) => changeForm({ seconds: Math.min(typedNumber(value) ?? 60, 3600) })} min={1} max={3600} suffix=" s at most" hideControls w={110} data-testid="search-seconds" />;
}
