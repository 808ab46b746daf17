/** The devices beside the canvas, with the plan's totals above and its problems below. */
import { ActionIcon, Button, Menu, Modal } from "@mantine/core";
import { IconAlertTriangle, IconCircleCheck, IconCircleX, IconLayoutSidebarRightCollapse, IconPlus, IconStack2 } from "@tabler/icons-react";
import { useMemo, useState, type ReactNode } from "react";
import type { Device, PlanProblem, PlanReport } from "@/api/types";
import { formatBytes, plural } from "@/app/format";
import { useDeviceDialogs } from "@/devices/actions";
import { DeviceCard } from "@/devices/DeviceCard";
import { DeviceForm } from "@/devices/DeviceForm";
import { DeviceSign } from "@/devices/DeviceSign";
import type { Marks } from "@/devices/palette";
import { deviceOf } from "@/plan/content";
import type { DeviceEstimate, Estimate } from "@/plan/estimate";
import { usePlan } from "@/plan/store";
import { DeviceRail } from "./DeviceRail";
import { useView } from "./view";

interface LanesProps {
  devices: readonly Device[];
  marks: Marks;
  estimate: Estimate;
  report: PlanReport | null;
  current: boolean;
  liveDevices: ReadonlySet<string>;
  /** The deployment that runs now. */
  deployment: string | null;
  selectDevice: (name: string) => void;
  selectUnplaced: () => void;
  /** Selects what the plan puts onto a name of its own. */
  selectPlace: (place: string) => void;
  spread: () => void;
  /** Takes over the plan of what runs; null where nothing runs, or its layers are not those shown. */
  showRunning: (() => void) | null;
  showProblem: (problem: PlanProblem) => void;
  /** What is predicted of the plan. */
  figures: ReactNode;
  /** To their signs. */
  folded: boolean;
  fold: (folded: boolean) => void;
}

/** The studio's figures where it has answered, those of the page meanwhile. */
function costsOf(estimate: Estimate, report: PlanReport | null, current: boolean): ReadonlyMap<string, DeviceEstimate> {
  if (!report) return estimate.devices;
  const told = new Map(report.devices.map((cost) => [cost.device, cost]));
  const result = new Map<string, DeviceEstimate>();
  for (const [name, local] of estimate.devices) {
    const cost = told.get(name);
    if (!cost || !current) result.set(name, local);
    else {
      result.set(name, {
        // The studio counts the parts and what joins them; people count layers.
        layers: local.layers,
        macs: cost.macs,
        parameters: cost.parameters,
        weightBytes: cost.weight_bytes,
        activationBytes: cost.activation_bytes,
        memoryBytes: cost.likely_memory_bytes,
        receivedBytes: cost.received_bytes,
        sentBytes: cost.sent_bytes,
      });
    }
  }
  return result;
}

export function Lanes(props: LanesProps) {
  const { devices, marks, estimate, report, current, liveDevices } = props;
  const dropTarget = useView((view) => view.dropTarget);
  const flash = useView((view) => view.flash);
  const [adding, setAdding] = useState(false);
  const { actions, dialogs } = useDeviceDialogs();
  const costs = useMemo(() => costsOf(estimate, report, current), [estimate, report, current]);
  const gone = [...costs.keys()].filter((name) => !devices.some((device) => device.name === name));
  const nothing = estimate.unplaced > 0 && estimate.unplaced === estimate.total.layers;
  const flashAt = (name: string) => (flash?.device === name ? flash.text : null);
  if (props.folded) {
    const { selectDevice, selectUnplaced, selectPlace, figures } = props;
    return <DeviceRail {...{ devices, marks, estimate, costs, gone, report, selectDevice, selectUnplaced, selectPlace, figures }} unfold={() => props.fold(false)} />;
  }
  return (
    <aside className="lanes" aria-label="Devices">
      <header className="lanes-head">
        <ActionIcon variant="subtle" color="gray" size="sm" aria-label="Fold the devices" title="Fold the devices" aria-expanded onClick={() => props.fold(true)} data-testid="fold-devices">
          <IconLayoutSidebarRightCollapse size={17} />
        </ActionIcon>
        <h2>Devices</h2>
        <span className="lanes-sum" title="Between devices, for each frame">
          {estimate.cuts === 0 ? "no cut" : `${plural(estimate.cuts, "cut")}, ${formatBytes(estimate.cutBytes)}/frame`}
        </span>
        <Button size="compact-xs" variant="default" leftSection={<IconPlus size={13} />} onClick={() => setAdding(true)} data-testid="add-device">
          Add
        </Button>
      </header>
      <div className="lanes-list">
        {estimate.unplaced > 0 && (
          <section className={dropTarget === "" ? "unplaced is-drop" : "unplaced"} data-drop-device="" data-testid="unplaced">
            <button type="button" className="link" onClick={props.selectUnplaced}>
              {plural(estimate.unplaced, "layer")} not placed
            </button>
            {nothing && props.showRunning && (
              <>
                <p>A deployment runs that was not made from this plan.</p>
                <Button size="xs" fullWidth onClick={props.showRunning} data-testid="show-running-plan">
                  Show its plan
                </Button>
              </>
            )}
            {devices.length > 0 && <p>Drag layers onto a device, or select them and press its number.</p>}
            {devices.length > 0 && nothing && (
              <Button size="xs" fullWidth variant="light" leftSection={<IconStack2 size={14} />} onClick={props.spread}>
                Spread all evenly
              </Button>
            )}
            {flashAt("") !== null && <p className="device-flash">{flashAt("")}</p>}
          </section>
        )}
        {devices.length === 0 && (
          <section className="lanes-empty">
            <h3>No devices yet</h3>
            <p>Register the boards that the network shall run on. A process on this machine will do to try it.</p>
            <Button size="xs" leftSection={<IconPlus size={14} />} onClick={() => setAdding(true)}>
              Add a device
            </Button>
          </section>
        )}
        {devices.map((device) => (
          <DeviceCard
            key={device.name}
            device={device}
            mark={marks.get(device.name) ?? null}
            cost={costs.get(device.name)}
            total={estimate.total}
            dim={!current}
            dropping={dropTarget === device.name}
            flash={flashAt(device.name)}
            deployment={liveDevices.has(device.name) ? props.deployment : null}
            actions={{ ...actions, select: props.selectDevice }}
          />
        ))}
        <Groups dropTarget={dropTarget} flash={flash} marks={marks} select={props.selectPlace} />
        {gone.map((name) => (
          <section key={name} className="device-card dev-gone" data-testid={`device-gone-${name}`}>
            <header>
              <button type="button" className="device-name" onClick={() => props.selectDevice(name)}>
                {name}
              </button>
              <span className="state state-cannot">not registered</span>
            </header>
            <p className="device-facts">{plural(costs.get(name)?.layers ?? 0, "layer")} of the plan are on this device, which is gone.</p>
          </section>
        ))}
      </div>
      {props.figures}
      <Problems report={report} nothing={nothing} show={props.showProblem} />
      {dialogs}
      <Modal opened={adding} onClose={() => setAdding(false)} title="Add a device" centered>
        <DeviceForm taken={devices.map(({ name }) => name)} done={() => setAdding(false)} />
      </Modal>
    </aside>
  );
}

/** Of problems of one kind; a hundred unplaced layers need not be listed one by one. */
const SHOWN_PER_KIND = 2;

/** Of a plan with nothing in it, that its layers have no device is said above once and for all. */
function Problems({ report, nothing, show }: { report: PlanReport | null; nothing: boolean; show: (problem: PlanProblem) => void }) {
  const problems = (report?.problems ?? []).filter(({ code }) => !nothing || code !== "unplaced_layer");
  const errors = problems.filter(({ severity }) => severity === "error").length;
  const groups = [...Map.groupBy(problems, ({ code }) => code).values()];
  return (
    <section className="plan-problems" data-testid="plan-problems" aria-label="Problems of the plan">
      {nothing && problems.length === 0 && <p className="plan-fine">No layer is on a device yet.</p>}
      {report && !nothing && problems.length === 0 && (
        <p className="plan-fine">
          <IconCircleCheck size={15} aria-hidden /> The plan can be deployed: {plural(report.stages.length, "stage")}.
        </p>
      )}
      {problems.length > 0 && (
        <>
          <h3>{errors > 0 ? plural(errors, "problem") : plural(problems.length, "warning")}</h3>
          <ul>
            {groups.flatMap((group) => group.slice(0, group.length > SHOWN_PER_KIND + 1 ? SHOWN_PER_KIND : undefined)).map((problem) => (
              <li key={`${problem.code} ${problem.layer ?? ""} ${problem.device ?? ""} ${problem.message}`} className={`is-${problem.severity}`}>
                {problem.severity === "error" ? <IconCircleX size={14} aria-label="Error" /> : <IconAlertTriangle size={14} aria-label="Warning" />}
                <span>
                  {problem.message} {problem.next_step}
                </span>
                {(problem.layer != null || problem.device != null) && (
                  <button type="button" className="link" onClick={() => show(problem)}>
                    show
                  </button>
                )}
              </li>
            ))}
            {groups
              .filter((group) => group.length > SHOWN_PER_KIND + 1)
              .map((group) => (
                <li key={group[0]?.code} className="is-more">
                  and {group.length - SHOWN_PER_KIND} more like this
                </li>
              ))}
          </ul>
        </>
      )}
    </section>
  );
}

/** Replicas: names of the plan that layers can be dropped on like devices. */
function Groups({ dropTarget, flash, marks, select }: { dropTarget: string | null; flash: { device: string; text: string } | null; marks: Marks; select: (place: string) => void }) {
  const rest = usePlan((content) => content.rest);
  return Object.entries(rest.replicas).map(([name, { places }]) => (
    <section key={name} className={dropTarget === name ? "replica-card is-drop" : "replica-card"} data-drop-device={name} data-testid={`replicas-${name}`} aria-label={`Replicas ${name}`}>
      <button type="button" className="device-name" onClick={() => select(name)} title="Select its layers">
        {name}
      </button>
      <p>
        frames shared by
        {places.map((place) => (
          <span key={place}>
            <DeviceSign mark={marks.get(deviceOf({ rest }, place)) ?? null} /> {place}
          </span>
        ))}
      </p>
      {flash?.device === name && <p className="device-flash">{flash.text}</p>}
    </section>
  ));
}

export interface AssignItemsProps {
  devices: readonly Device[];
  send: (device: string) => void;
}

/** The devices as menu items, with their keys. */
export function AssignItems({ devices, send }: AssignItemsProps) {
  return (
    <>
      {devices.length === 0 && <Menu.Label>No devices yet</Menu.Label>}
      {devices.map(({ name }, i) => (
        <Menu.Item key={name} onClick={() => send(name)} rightSection={i < 9 ? <kbd>{i + 1}</kbd> : null} data-testid={`assign-to-${name}`}>
          {name}
        </Menu.Item>
      ))}
      <Menu.Divider />
      <Menu.Item onClick={() => send("")} rightSection={<kbd>Del</kbd>}>
        No device
      </Menu.Item>
    </>
  );
}
