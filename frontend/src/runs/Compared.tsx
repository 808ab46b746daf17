/** Predicted beside measured, for the whole, every stage, device and cut. */
import { Fragment } from "react";
import type { Deployment, Run } from "@/api/types";
import { usePipeline } from "@/live/pipelineStore";
import { liveStore } from "@/live/store";
import { profiledWhere } from "@/planner/profiling";
import type { Prediction } from "@/planner/types";
import { ABSENT } from "@/power/words";
import { compareRun, differenceOf, type Row } from "@/live/comparison";

const told = (value: number | null, format: Row["format"]): string => (value === null ? ABSENT : format(value));

export function Compared({ deployment, run, prediction }: { deployment: Deployment; run: Run | null; prediction: Prediction | null }) {
  // It is drawn anew with the pipeline's figures, twice a second at most.
  const now = usePipeline((state) => state.now);
  const { latest } = liveStore.getState();
  const lives = new Map(Object.entries(latest).map(([name, { live }]) => [name, live]));
  const groups = compareRun(deployment, run, now, lives, prediction);
  return (
    <div className="dock-scroll" tabIndex={0} role="region" aria-label="Predicted and measured">
      <table className="plain-table compared" data-testid="compared">
        <thead>
          <tr>
            <th scope="col">{prediction?.estimated ? `Some rests on estimates${profiledWhere(prediction).length > 0 ? ": profile this network" : ""}` : ""}</th>
            <th scope="col">Predicted</th>
            <th scope="col">Measured</th>
            <th scope="col">Difference</th>
          </tr>
        </thead>
        <tbody>
          {groups.map(({ title, rows }) => (
            <Fragment key={title}>
              <tr className="compared-group">
                <th scope="colgroup" colSpan={4}>
                  {title}
                </th>
              </tr>
              {rows.map((row) => (
                <tr key={row.what} title={row.note ?? undefined}>
                  <th scope="row">{row.what}</th>
                  <td>{told(row.predicted, row.format)}</td>
                  <td>
                    <b>{told(row.measured, row.format)}</b>
                  </td>
                  <td>{differenceOf(row) ?? ""}</td>
                </tr>
              ))}
            </Fragment>
          ))}
        </tbody>
      </table>
    </div>
  );
}
