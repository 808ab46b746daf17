/** The devices folded to their signs: layers are dropped here just as well, and a press selects those of a device. */
import { ActionIcon } from "@mantine/core";
import { IconAlertTriangle, IconCircleCheck, IconCircleX, IconLayoutSidebarRightExpand } from "@tabler/icons-react";
import type { ReactNode } from "react";
import type { Deployment, Device, PlanReport } from "@/api/types";
import { formatPercent, formatWhole, plural } from "@/app/format";
import { DeviceSign } from "@/devices/DeviceSign";
import { gaugesOf, worstGauge } from "@/devices/gauges";
import { markClass } from "@/devices/marks";
import type { Marks } from "@/devices/palette";
import { STATE_WORDS } from "@/devices/words";
import { useLatest } from "@/live/useLatest";
import type { DeviceEstimate, Estimate } from "@/plan/estimate";
import { usePlan } from "@/plan/store";
import type { Prediction } from "@/planner/types";
import { useHand } from "./hand";
import { useView } from "./view";

interface DeviceRailProps {
  devices: readonly Device[];
  marks: Marks;
  estimate: Estimate;
  costs: ReadonlyMap<string, DeviceEstimate>;
  /** Devices of the plan that are registered no more. */
  gone: readonly string[];
  report: PlanReport | null;
  liveDevices: ReadonlySet<string>;
  prediction: Prediction | null;
  /** The deployment whose steps are looked at, with what failed. */
  shown: Deployment | null;
  selectDevice: (name: string) => void;
  selectUnplaced: () => void;
  selectPlace: (place: string) => void;
  unfold: () => void;
  figures: ReactNode;
}

export function DeviceRail({ devices, marks, estimate, costs, gone, report, liveDevices, prediction, shown, selectDevice, selectUnplaced, selectPlace, unfold, figures }: DeviceRailProps) {
  const replicas = usePlan((content) => content.rest.replicas);
  const entry = (name: string, state: string, device?: Device) => {
    const failure = shown?.devices.find((one) => one.device === name)?.problem ?? null;
    const cost = costs.get(name);
    const share = cost && estimate.total.macs > 0 ? cost.macs / estimate.total.macs : 0;
    const layers = cost?.layers ?? 0;
    const told = `${layers === 1 ? "layer" : "layers"} on ${name}, ${state}: ${formatPercent(share)} of the work`;
    return (
      <RailItem key={name} place={name} count={layers} told={failure ? `${told}. ${failure.message}` : told} press={() => selectDevice(name)} className={`${markClass(marks.get(name) ?? null, true)}${failure ? " is-lost" : ""}`} gauge={device && <RailGauge device={device} cost={cost} prediction={prediction} isLive={liveDevices.has(name)} />}>
        <DeviceSign mark={marks.get(name) ?? null} />
        <span className="meter-track">
          <span style={{ width: `${Math.min(share, 1) * 100}%` }} />
        </span>
      </RailItem>
    );
  };
  return (
    <aside className="lanes is-rail" aria-label="Devices" data-testid="device-rail">
      <ActionIcon variant="subtle" color="gray" aria-label="Show the devices in full" title="Show the devices in full" aria-expanded={false} onClick={unfold} data-testid="unfold-devices">
        <IconLayoutSidebarRightExpand size={18} />
      </ActionIcon>
      <ul className="lanes-list rail-list">
        {estimate.unplaced > 0 && (
          <RailItem place="" count={estimate.unplaced} told={`${estimate.unplaced === 1 ? "layer" : "layers"} on no device`} press={selectUnplaced} className="dev-none">
            <span className="rail-none">none</span>
          </RailItem>
        )}
        {devices.map((device) => entry(device.name, STATE_WORDS[device.state], device))}
        {Object.entries(replicas).map(([name, { places }]) => (
          <RailItem key={name} place={name} count={places.length} told={`replicas ${name}, frames shared by ${places.join(", ")}`} press={() => selectPlace(name)} className="dev-none">
            <span className="rail-none">×</span>
          </RailItem>
        ))}
        {gone.map((name) => entry(name, "not registered"))}
      </ul>
      {figures}
      <RailProblems report={report} unfold={unfold} />
    </aside>
  );
}

/** The fullest of a device's gauges, as a sign and in words. */
function RailGauge({ device, cost, prediction, isLive }: { device: Device; cost: DeviceEstimate | undefined; prediction: Prediction | null; isLive: boolean }) {
  const { ref, latest, staleS } = useLatest<HTMLSpanElement>(device.name);
  const live = isLive && staleS === null ? (latest?.live ?? null) : null;
  const gauges = gaugesOf(device, cost, prediction, live);
  const tone = worstGauge(gauges);
  const told = [gauges.memory, gauges.load, gauges.power, ...(gauges.heat ? [gauges.heat] : [])].filter((view) => view.fill !== null && (isLive || view.tone !== "fine")).map(({ words }) => words);
  return (
    <span ref={ref} className={`rail-gauge is-${tone}`} title={told.join("\n")} data-tone={tone} data-testid={`rail-gauge-${device.name}`}>
      <span aria-hidden>
        {live && gauges.load.value}
        {tone !== "fine" && <i className="gauge-alarm">!</i>}
      </span>
      <span className="visually-hidden">{told.join(". ")}</span>
    </span>
  );
}

interface RailItemProps {
  /** Where what is dropped here goes. */
  place: string;
  count: number;
  /** What there are so many of. */
  told: string;
  press: () => void;
  className: string;
  /** What it does, and whether it comes close to a limit. */
  gauge?: ReactNode;
  /** Its sign, for the eye alone. */
  children: ReactNode;
}

function RailItem({ place, count, told, press, className, gauge, children }: RailItemProps) {
  const dropping = useView((view) => view.dropTarget === place);
  const refused = useHand(({ trial }) => trial !== null && trial.verdict.refused !== null);
  return (
    <li>
      <button type="button" className={`rail-item ${className}${dropping ? (refused ? " is-drop is-refused" : " is-drop") : ""}`} title={`Select the ${formatWhole(count)} ${told}`} onClick={press} data-drop-device={place} data-testid={`rail-${place}`}>
        <span className="rail-sign" aria-hidden>
          {children}
        </span>
        <span className="rail-count">
          {formatWhole(count)} <span className="visually-hidden">{told}: select</span>
        </span>
        {gauge}
      </button>
    </li>
  );
}

function RailProblems({ report, unfold }: { report: PlanReport | null; unfold: () => void }) {
  if (!report) return null;
  const errors = report.problems.filter(({ severity }) => severity === "error").length;
  const count = errors > 0 ? errors : report.problems.length;
  if (count === 0) {
    return (
      <p className="rail-problems plan-fine" title="The plan can be deployed">
        <IconCircleCheck size={17} aria-label="The plan can be deployed" />
      </p>
    );
  }
  const told = plural(count, errors > 0 ? "problem" : "warning");
  return (
    <button type="button" className={`rail-problems ${errors > 0 ? "is-error" : "is-warning"}`} aria-label={`${told} of the plan: show`} title={told} onClick={unfold} data-testid="rail-problems">
      {errors > 0 ? <IconCircleX size={17} aria-hidden /> : <IconAlertTriangle size={17} aria-hidden />} {formatWhole(count)}
    </button>
  );
}
