/** Watts or joules with where they come from: an estimate is hatched and says so; what is absent is a dash. */
import { Tooltip } from "@mantine/core";
import type { EnergyFigure, PowerFigure } from "@/api/types";
import { HeadRow } from "@/app/HeadRow";
import { ABSENT, coverageNote, describeProvenance, describeWindow, formatJoules, isEstimate, joulesOr, METHOD_WORDS, SCOPE_WORDS, wattsOr } from "./words";

type Provenance = Pick<PowerFigure, "source" | "scope" | "method" | "uncertainty"> & { coverage?: number };

/** The figure itself. */
export function Amount({ text, from }: { text: string; from: Provenance | null }) {
  const estimate = from !== null && text !== ABSENT && isEstimate(from);
  const figure = (
    <span className={estimate ? "amount is-estimate" : "amount"} tabIndex={from ? 0 : undefined}>
      {text}
      {estimate && <small>est.</small>}
    </span>
  );
  return from === null ? figure : <Tooltip label={describeProvenance(from)} events={{ hover: true, focus: true, touch: true }}>{figure}</Tooltip>;
}

/** `none` is said where there is no figure. */
export function PowerTable({ power, other, none }: { power: PowerFigure | null; other: readonly PowerFigure[]; none: string }) {
  const rows = [...(power ? [power] : []), ...other];
  if (rows.length === 0) return <p className="chart-empty is-low">{none}</p>;
  return (
    <table className="plain-table" data-testid="power-table">
      <caption>Sources of different scope tell of different things: they are never added.</caption>
      <HeadRow titles={["Source", "Scope", "How", "Watts", "Joules", "Uncertainty", "Coverage"]} />
      <tbody>
        {rows.map((row, i) => (
          <tr key={`${row.source} ${row.scope}`} className={i === 0 && power ? "is-first" : ""}>
            <th scope="row">{row.source}</th>
            <td>{SCOPE_WORDS[row.scope]}</td>
            <td>{METHOD_WORDS[row.method]}</td>
            <td>
              <Amount text={wattsOr(row.power_w)} from={row} />
            </td>
            <td>
              <Amount text={joulesOr(row.energy_j)} from={row} />
            </td>
            <td>{row.uncertainty === null ? "not known" : `±${Math.round(row.uncertainty * 1000) / 10}\u202f%`}</td>
            <td className={coverageNote(row.coverage) === null ? "" : "is-short"}>{`${Math.floor(row.coverage * 1000) / 10}\u202f%`}</td>
          </tr>
        ))}
      </tbody>
    </table>
  );
}

/** Energy of a window of frames, gross and net. */
export function EnergyFacts({ energy }: { energy: EnergyFigure | null }) {
  if (!energy) return <p className="none">No energy per frame: no frames passed, or no source tells.</p>;
  const rows: [string, string][] = [
    ["Gross per frame", joulesOr(energy.gross_per_frame_j)],
    ["Net of idle, per frame", joulesOr(energy.net_per_frame_j)],
    ["Gross", formatJoules(energy.gross_j)],
    ["Net", joulesOr(energy.net_j)],
    ["Idle", wattsOr(energy.idle_w)],
  ];
  return (
    <div className="energy-facts" data-testid="energy-facts">
      <dl className="device-dl">
        {rows.map(([term, text]) => (
          <div key={term}>
            <dt>{term}</dt>
            <dd>
              <Amount text={text} from={energy} />
            </dd>
          </div>
        ))}
        <div>
          <dt>Window</dt>
          <dd>{describeWindow(energy)}</dd>
        </div>
      </dl>
      <p className="hint">{describeProvenance(energy)}</p>
    </div>
  );
}

export function Throttled({ names }: { names: readonly string[] }) {
  if (names.length === 0) return null;
  return (
    <Tooltip label={`Figures are those of a slowed device: ${names.join(", ")}`}>
      <span className="throttled" tabIndex={0} data-testid="throttled">
        throttled
      </span>
    </Tooltip>
  );
}
