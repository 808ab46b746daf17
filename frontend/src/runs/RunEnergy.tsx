/** Energy of a run, by device: figures of different devices and scopes stand side by side, never added. */
import { Popover } from "@mantine/core";
import type { Run } from "@/api/types";
import { plural } from "@/app/format";
import { HeadRow } from "@/app/HeadRow";
import { Amount } from "@/power/PowerFigure";
import { ABSENT, describeProvenance, describeWindow, joulesOr } from "@/power/words";

export function RunEnergy({ run }: { run: Run | null }) {
  const told = Object.entries(run?.energy ?? {});
  if (told.length === 0) return <>{ABSENT}</>;
  return (
    <Popover width={700} position="top" shadow="md" withinPortal trapFocus returnFocus>
      <Popover.Target>
        <button type="button" className="link" data-testid="run-energy">
          {plural(told.length, "device")}…
        </button>
      </Popover.Target>
      <Popover.Dropdown aria-label="Energy of the run by device">
        <EnergyTable energy={run?.energy ?? {}} />
      </Popover.Dropdown>
    </Popover>
  );
}

export function EnergyTable({ energy }: { energy: NonNullable<Run["energy"]> }) {
  return (
    <table className="plain-table" data-testid="run-energy-table">
      <caption>From the first frame in to the last frame out. Devices are not added: their figures may tell of different things.</caption>
      <HeadRow titles={["Device", "J/frame, gross", "J/frame, net", "Gross", "Window", "From"]} />
      <tbody>
        {Object.entries(energy).map(([device, told]) => (
          <tr key={device}>
            <th scope="row">{device}</th>
            <td>
              <Amount text={joulesOr(told.gross_per_frame_j)} from={told} />
            </td>
            <td>
              <Amount text={joulesOr(told.net_per_frame_j)} from={told} />
            </td>
            <td>{joulesOr(told.gross_j)}</td>
            <td>{describeWindow(told)}</td>
            <td className="is-words">{describeProvenance(told)}</td>
          </tr>
        ))}
      </tbody>
    </table>
  );
}
