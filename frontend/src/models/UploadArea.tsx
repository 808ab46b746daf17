/** Where files are dropped: progress, cancel, what is wrong with a file and what to do, and what can be added at all. */
import { Button, Progress } from "@mantine/core";
import { IconFileUpload } from "@tabler/icons-react";
import { formatPercent } from "@/app/format";
import { ProblemCard } from "@/app/ProblemCard";
import { editorPath, navigate } from "@/app/router";
import { FreeDimension } from "./FreeDimension";
import { refusedLayers } from "./refused";
import type { Upload } from "./useUpload";
import { WhatFits } from "./WhatFits";

export function UploadArea({ upload, over }: { upload: Upload; over: boolean }) {
  const { state } = upload;
  const id = state.kind === "failed" && state.problem.code === "model_exists" ? state.problem.details["model_id"] : null;
  const there = typeof id === "string" ? id : null;
  return (
    <div className="upload">
      {over && (
        <div className="drop-overlay" aria-hidden>
          <p>
            <IconFileUpload size={30} stroke={1.5} />
            Drop the ONNX file to add it
          </p>
        </div>
      )}
      {state.kind === "sending" ? (
        <div className="upload-progress" role="status">
          <p>
            <b>{state.name}</b> {state.share < 1 ? `sending, ${formatPercent(state.share)}` : "reading the network…"}
          </p>
          <Progress value={state.share * 100} size="sm" animated={state.share >= 1} aria-label="Upload" />
          <Button size="compact-sm" variant="default" onClick={upload.cancel}>
            Cancel
          </Button>
        </div>
      ) : (
        <label className="upload-label">
          <IconFileUpload size={22} stroke={1.5} aria-hidden />
          <span>
            <b>Drop an ONNX file</b> anywhere on this page, or choose one. Files with its external data may come along.
          </span>
          <span className="upload-button">Choose file</span>
          <input
            type="file"
            multiple
            className="visually-hidden"
            data-testid="upload-input"
            onChange={(event) => {
              upload.send([...(event.currentTarget.files ?? [])]);
              event.currentTarget.value = "";
            }}
          />
        </label>
      )}
      {state.kind === "failed" && (
        <ProblemCard problem={state.problem}>
          <RefusedLayers details={state.problem.details} />
          {state.free && <FreeDimension key={state.free.symbol} symbol={state.free.symbol} send={state.free.send} />}
          {state.again && !state.free && (
            <Button size="compact-sm" variant="default" onClick={state.again} data-testid="upload-again">
              Try again
            </Button>
          )}
          {there !== null && (
            <Button size="compact-sm" onClick={() => navigate(editorPath(there))} data-testid="open-present">
              Open it
            </Button>
          )}
          <Button size="compact-sm" variant="default" onClick={upload.reset}>
            Close
          </Button>
        </ProblemCard>
      )}
      <WhatFits />
    </div>
  );
}

function RefusedLayers({ details }: { details: Readonly<Record<string, unknown>> }) {
  const { layers, more } = refusedLayers(details);
  if (layers.length === 0) return null;
  return (
    <table className="plain-table refused" data-testid="refused-layers">
      <caption>Refused layers</caption>
      <thead>
        <tr>
          <th scope="col">Layer</th>
          <th scope="col">Operator</th>
        </tr>
      </thead>
      <tbody>
        {layers.map(({ layer, operator }, i) => (
          <tr key={i}>
            <th scope="row">{layer}</th>
            <td>{operator}</td>
          </tr>
        ))}
      </tbody>
      {more > 0 && (
        <tfoot>
          <tr>
            <td colSpan={2}>and {more} more</td>
          </tr>
        </tfoot>
      )}
    </table>
  );
}
