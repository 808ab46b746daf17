/** The devices folded to their signs: layers are dropped here just as well, and a press selects those of a device. */
import { ActionIcon } from "@mantine/core";
import { IconAlertTriangle, IconCircleCheck, IconCircleX, IconLayoutSidebarRightExpand } from "@tabler/icons-react";
import type { ReactNode } from "react";
import type { Device, PlanReport } from "@/api/types";
import { formatPercent, plural } from "@/app/format";
import { DeviceSign } from "@/devices/DeviceSign";
import { markClass } from "@/devices/marks";
import type { Marks } from "@/devices/palette";
import { STATE_WORDS } from "@/devices/words";
import type { DeviceEstimate, Estimate } from "@/plan/estimate";
import { usePlan } from "@/plan/store";
import { useView } from "./view";

interface DeviceRailProps {
  devices: readonly Device[];
  marks: Marks;
  estimate: Estimate;
  costs: ReadonlyMap<string, DeviceEstimate>;
  /** Devices of the plan that are registered no more. */
  gone: readonly string[];
  report: PlanReport | null;
  selectDevice: (name: string) => void;
  selectUnplaced: () => void;
  selectPlace: (place: string) => void;
  unfold: () => void;
  figures: ReactNode;
}

export function DeviceRail({ devices, marks, estimate, costs, gone, report, selectDevice, selectUnplaced, selectPlace, unfold, figures }: DeviceRailProps) {
  const replicas = usePlan((content) => content.rest.replicas);
  const entry = (name: string, state: string) => {
    const cost = costs.get(name);
    const share = cost && estimate.total.macs > 0 ? cost.macs / estimate.total.macs : 0;
    const layers = cost?.layers ?? 0;
    const told = `${layers === 1 ? "layer" : "layers"} on ${name}, ${state}: ${formatPercent(share)} of the work`;
    return (
      <RailItem key={name} place={name} count={layers} told={told} press={() => selectDevice(name)} className={markClass(marks.get(name) ?? null, true)}>
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
        {devices.map(({ name, state }) => entry(name, STATE_WORDS[state]))}
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

interface RailItemProps {
  /** Where what is dropped here goes. */
  place: string;
  count: number;
  /** What there are so many of. */
  told: string;
  press: () => void;
  className: string;
  /** Its sign, for the eye alone. */
  children: ReactNode;
}

function RailItem({ place, count, told, press, className, children }: RailItemProps) {
  const dropping = useView((view) => view.dropTarget === place);
  return (
    <li>
      <button type="button" className={`rail-item ${className}${dropping ? " is-drop" : ""}`} title={`Select the ${count} ${told}`} onClick={press} data-drop-device={place} data-testid={`rail-${place}`}>
        <span className="rail-sign" aria-hidden>
          {children}
        </span>
        <span className="rail-count">
          {count} <span className="visually-hidden">{told}: select</span>
        </span>
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
      {errors > 0 ? <IconCircleX size={17} aria-hidden /> : <IconAlertTriangle size={17} aria-hidden />} {count}
    </button>
  );
}
