/** The devices beside the canvas, with the plan's totals above and its problems below. */
import { ActionIcon, Button } from "@mantine/core";
import { IconCircleCheck, IconLayoutSidebarRightCollapse, IconPlus, IconStack2 } from "@tabler/icons-react";
import { useMemo, useState, type ReactNode } from "react";
import type { Deployment, Device, PlanProblem, PlanReport } from "@/api/types";
import { formatBytes, plural } from "@/app/format";
import { ProblemList } from "@/deploy/ProblemList";
import { useDeviceDialogs } from "@/devices/actions";
import { DeviceCard } from "@/devices/DeviceCard";
import { DeviceSign } from "@/devices/DeviceSign";
import type { Marks } from "@/devices/palette";
import { deviceOf } from "@/plan/content";
import type { DeviceEstimate, Estimate } from "@/plan/estimate";
import { usePlan } from "@/plan/store";
import type { Prediction } from "@/planner/types";
import { AddDevice, DeviceRail, GoneDevice } from "./parts";
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
  prediction: Prediction | null;
  /** The deployment whose steps are looked at, with what failed. */
  shown: Deployment | null;
  retry: (deployment: Deployment, device: string) => void;
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
  const flashAt = (name: string) => (flash?.device === name && !flash.refused ? flash.text : null);
  if (props.folded) {
    const { selectDevice, selectUnplaced, selectPlace, figures, prediction, shown } = props;
    return <DeviceRail {...{ devices, marks, estimate, costs, gone, report, liveDevices, prediction, shown, selectDevice, selectUnplaced, selectPlace, figures }} unfold={() => props.fold(false)} />;
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
            prediction={props.prediction}
            failure={props.shown?.devices.find((one) => one.device === device.name)?.problem ?? null}
            retry={() => props.shown && props.retry(props.shown, device.name)}
            actions={{ ...actions, select: props.selectDevice }}
          />
        ))}
        <Groups dropTarget={dropTarget} flash={flash} marks={marks} select={props.selectPlace} />
        {gone.map((name) => (
          <GoneDevice key={name} name={name} layers={costs.get(name)?.layers ?? 0} devices={devices} select={props.selectDevice} />
        ))}
      </div>
      {props.figures}
      <Problems report={report} nothing={nothing} show={props.showProblem} />
      {dialogs}
      {adding && <AddDevice taken={devices.map(({ name }) => name)} close={() => setAdding(false)} />}
    </aside>
  );
}

/** Of a plan with nothing in it, that its layers have no device is said above once and for all. */
function Problems({ report, nothing, show }: { report: PlanReport | null; nothing: boolean; show: (problem: PlanProblem) => void }) {
  const problems = (report?.problems ?? []).filter(({ code }) => !nothing || code !== "unplaced_layer");
  const errors = problems.filter(({ severity }) => severity === "error").length;
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
          <ProblemList problems={problems} show={show} />
        </>
      )}
    </section>
  );
}

/** Replicas: names of the plan that layers can be dropped on like devices. */
function Groups({ dropTarget, flash, marks, select }: { dropTarget: string | null; flash: { device: string; text: string; refused: boolean } | null; marks: Marks; select: (place: string) => void }) {
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
      {flash?.device === name && !flash.refused && <p className="device-flash">{flash.text}</p>}
    </section>
  ));
}
