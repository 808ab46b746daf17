/** Plans side by side in figures: one plan a row, the best of each figure marked. */
import { ActionIcon, Button } from "@mantine/core";
import { IconEye, IconX } from "@tabler/icons-react";
import type { ReactNode } from "react";
import { formatFps, formatWhole, plural } from "@/app/format";
import { DeviceSign } from "@/devices/DeviceSign";
import { useMarks } from "@/devices/marks";
import type { Estimate } from "@/plan/estimate";
import type { Prediction } from "@/planner/types";
import { resourceLabel, resourceWords } from "@/planner/words";
import { bestOf, FIGURE_WORDS, FIGURES, figureOf, formatFigure, restsOn } from "./figures";

export interface CompareRow {
  key: string;
  name: string;
  local: Estimate;
  prediction: Prediction | null;
  /** Whether an answer is on its way. */
  pending: boolean;
  why: string | null;
  /** Layers that differ from the open plan; null for itself. */
  differs: number | null;
  /** Frames per second as they are measured now, of what runs. */
  measured: number | null;
  /** What opening it means; null for the open plan. */
  open: { words: string; run: () => void } | null;
}

interface CompareTableProps {
  rows: readonly CompareRow[];
  against: string | null;
  showAgainst: (key: string) => void;
  leaveOut: (key: string) => void;
}

export function CompareTable({ rows, against, showAgainst, leaveOut }: CompareTableProps) {
  const best = FIGURES.map((figure) => bestOf(figure, rows.map(({ prediction }) => prediction && figureOf(figure, prediction))));
  return (
    <div className="compare-scroll" tabIndex={0} role="region" aria-label="Plans side by side">
      <table className="plain-table compare-table" data-testid="compare-table">
        <thead>
          <tr>
            <th scope="col">Plan</th>
            {FIGURES.map((figure) => (
              <th key={figure} scope="col" title={`${FIGURE_WORDS[figure].what}; ${FIGURE_WORDS[figure].better} is better`}>
                {FIGURE_WORDS[figure].title}
              </th>
            ))}
            <th scope="col" className="is-words">
              Limited by
            </th>
            <th scope="col" className="is-words" title="Layers on each device">
              Layers
            </th>
            <th scope="col" title="Layers that are elsewhere than in the open plan">
              Differ
            </th>
            <th scope="col">
              <span className="visually-hidden">Actions</span>
            </th>
          </tr>
        </thead>
        <tbody>
          {rows.map((row, place) => (
            <tr key={row.key} className={row.open === null ? "is-open" : row.key === against ? "is-against" : ""} data-testid={`compare-${row.key}`}>
              <th scope="row">
                <span className="compare-name" title={row.name}>
                  {row.name}
                </span>
                <Provenance row={row} />
              </th>
              <Figures row={row} best={best.map((places) => places.has(place))} />
              <td className="is-words compare-limit">
                <Signs local={row.local} />
              </td>
              <td>{row.differs === null ? "" : row.differs === 0 ? "none" : row.differs}</td>
              <td className="compare-acts">
                {row.open && (
                  <>
                    <ActionIcon variant={row.key === against ? "filled" : "subtle"} color={row.key === against ? undefined : "gray"} size={24} aria-pressed={row.key === against} aria-label={`Mark on the graph what differs from ${row.name}`} title="Mark on the graph what differs" onClick={() => showAgainst(row.key)} data-testid={`against-${row.key}`}>
                      <IconEye size={14} />
                    </ActionIcon>
                    <Button size="compact-xs" variant="default" onClick={row.open.run} data-testid={`open-${row.key}`}>
                      {row.open.words}
                    </Button>
                    <ActionIcon variant="subtle" color="gray" size={24} aria-label={`Leave ${row.name} out`} title="Leave it out" onClick={() => leaveOut(row.key)} data-testid={`leave-${row.key}`}>
                      <IconX size={14} />
                    </ActionIcon>
                  </>
                )}
              </td>
            </tr>
          ))}
        </tbody>
      </table>
    </div>
  );
}

function Provenance({ row: { prediction, open } }: { row: CompareRow }) {
  return (
    <small>
      {open === null && "open"}
      {prediction && (
        <span title={restsOn(prediction)}>
          {open === null && " · "}
          {prediction.estimated ? "predicted, with estimates" : "predicted from measurements"}
        </span>
      )}
    </small>
  );
}

function Figures({ row: { prediction, pending, why, measured }, best }: { row: CompareRow; best: readonly boolean[] }) {
  if (!prediction) {
    return (
      <td colSpan={FIGURES.length + 1} className="is-words compare-why">
        {why === null ? (pending ? "Predicting…" : "Not predicted yet.") : `Not predicted: ${why}`}
      </td>
    );
  }
  return (
    <>
      {FIGURES.map((figure, place) => {
        const value = figureOf(figure, prediction);
        const below: ReactNode = figure === "throughput" && measured !== null ? <small>{formatFps(measured)} measured</small> : null;
        return (
          <td key={figure} className={`${best[place] ? "is-best" : ""}${pending ? " is-dim" : ""}`}>
            {value === null ? (
              <span title="A device's power is not known">not known</span>
            ) : (
              <span className="compare-value">
                {formatFigure(figure, value)}
                {best[place] && <span className="visually-hidden"> (best)</span>}
              </span>
            )}
            {below}
          </td>
        );
      })}
      <td className="is-words compare-limit" title={resourceWords(prediction.bottleneck)}>
        {resourceLabel(prediction.bottleneck)}
      </td>
    </>
  );
}

/** How many layers each device has, with its sign. */
export function Signs({ local }: { local: Estimate }) {
  const marks = useMarks();
  const order = (device: string) => marks.get(device)?.number ?? Infinity;
  const devices = [...local.devices].sort(([a], [b]) => order(a) - order(b));
  return (
    <span className="signs">
      {devices.map(([device, { layers }]) => (
        <span key={device} title={`${device}: ${plural(layers, "layer")}`}>
          <DeviceSign mark={marks.get(device) ?? null} />
          <span className="visually-hidden">{device}: </span>
          {formatWhole(layers)}
        </span>
      ))}
      {local.unplaced > 0 && <span title="On no device">– {formatWhole(local.unplaced)}</span>}
    </span>
  );
}
