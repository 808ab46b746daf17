/** The tables of a run's report. */
import type { ReactNode } from "react";
import type { RunReport } from "@/api/types";
import { formatBytes, formatCount, formatMacs, formatPercent, formatRate, formatShape, formatWhole, plural } from "@/app/format";
import { HeadRow } from "@/app/HeadRow";
import { ABSENT } from "@/power/words";
import { describeError } from "@/profiles/table";
import { EnergyTable } from "./RunEnergy";
import { busiestOf, formatMoment, secondsOr } from "./words";

function Part({ title, note, children }: { title: string; note?: string; children: ReactNode }) {
  return (
    <section className="report-part" aria-label={title}>
      <h2>{title}</h2>
      {note !== undefined && <p className="report-small">{note}</p>}
      <div className="runs-scroll" tabIndex={0} role="region" aria-label={`Table: ${title}`}>
        {children}
      </div>
    </section>
  );
}

const NothingHeard = ({ what }: { what: string }) => <p className="none">The run was too short for the devices to tell of {what}.</p>;

export function StagePart({ report }: { report: RunReport }) {
  const layers = new Map((report.deployment?.stages ?? []).map((stage) => [stage.name, stage.layers.length]));
  if (report.stages.length === 0) return <Part title="Stages">{<NothingHeard what="their stages" />}</Part>;
  return (
    <Part title="Stages" note="Means over the frames of the run; predicted from the profiles of the devices.">
      <table className="plain-table runs-table" data-testid="report-stages">
        <HeadRow titles={["Stage", "Device", "Layers", "Frames", "Lost", "Compute", "Predicted", "Difference", "Waited"]} />
        <tbody>
          {report.stages.map((stage) => (
            <tr key={`${stage.device} ${stage.stage}`}>
              <th scope="row">{stage.stage}</th>
              <td>{stage.device}</td>
              <td>{layers.get(stage.stage) ?? ABSENT}</td>
              <td>{formatWhole(stage.frames)}</td>
              <td>{formatWhole(stage.lost)}</td>
              <td>
                <b>{secondsOr(stage.compute_s)}</b>
              </td>
              <td>{secondsOr(stage.predicted_s)}</td>
              <td>{describeError(stage.predicted_s, stage.compute_s) ?? ABSENT}</td>
              <td>{secondsOr(stage.queue_wait_s)}</td>
            </tr>
          ))}
        </tbody>
      </table>
    </Part>
  );
}

export function DevicePart({ report }: { report: RunReport }) {
  const predicted = new Map((report.prediction?.devices ?? []).map((device) => [device.device, device]));
  const busiest = busiestOf(report)?.device;
  if (report.devices.length === 0) return <Part title="Devices">{<NothingHeard what="themselves" />}</Part>;
  return (
    <Part title="Devices" note="Means over the run; memory and temperature at their most. CPU counts everybody on the device.">
      <table className="plain-table runs-table" data-testid="report-devices">
        <HeadRow titles={["Device", "CPU", "Predicted busy", "Memory", "Predicted memory", "Received", "Sent", "Hottest"]} />
        <tbody>
          {report.devices.map((device) => {
            const planned = predicted.get(device.device);
            return (
              <tr key={device.device}>
                <th scope="row">
                  {device.device}
                  {device.device === busiest && <span className="tag">busiest</span>}
                </th>
                <td>{device.cpu_utilisation === null ? ABSENT : formatPercent(device.cpu_utilisation)}</td>
                <td>{planned ? formatPercent(planned.utilisation) : ABSENT}</td>
                <td>
                  {device.memory_peak_bytes === null ? ABSENT : formatBytes(device.memory_peak_bytes)}
                  {device.memory_peak_bytes !== null && device.memory_limit_bytes !== null && <small>of {formatBytes(device.memory_limit_bytes)}</small>}
                </td>
                <td>{planned ? formatBytes(planned.memory_bytes) : ABSENT}</td>
                <td>{device.received_bytes_per_s === null ? ABSENT : formatRate(device.received_bytes_per_s)}</td>
                <td>{device.sent_bytes_per_s === null ? ABSENT : formatRate(device.sent_bytes_per_s)}</td>
                <td className={device.throttled ? "is-bad" : ""}>
                  {device.temperature_peak_c === null ? ABSENT : `${device.temperature_peak_c.toFixed(0)}\u202f°C`}
                  {device.throttled && <small>throttled</small>}
                </td>
              </tr>
            );
          })}
        </tbody>
      </table>
    </Part>
  );
}

export function EnergyPart({ report: { run } }: { report: RunReport }) {
  return (
    <Part title="Energy">
      {Object.keys(run.energy ?? {}).length === 0 ? (
        <p className="none">{run.state === "running" ? "Told when the run has ended." : "No device told any energy: no sensor, no plug, no declared watts, no calibration."}</p>
      ) : (
        <EnergyTable energy={run.energy ?? {}} />
      )}
    </Part>
  );
}

export function TrafficPart({ report: { deployment, prediction } }: { report: RunReport }) {
  if (!deployment || deployment.cuts.length === 0) return null;
  const busy = new Map((prediction?.links ?? []).map((link) => [`${link.source} ${link.target}`, link]));
  return (
    <Part title="Between devices">
      <table className="plain-table runs-table" data-testid="report-cuts">
        <HeadRow titles={["From", "To", "A frame", "On the wire", "Codec", "Way", "Predicted busy"]} />
        <tbody>
          {deployment.cuts.map((cut) => {
            const link = busy.get(`${cut.producer_device} ${cut.consumer_device}`);
            return (
              <tr key={`${cut.producer} ${cut.consumer}`}>
                <th scope="row">{cut.producer_device}</th>
                <td>{cut.consumer_device}</td>
                <td>{formatBytes(cut.size_bytes)}</td>
                <td>{cut.wire_bytes === null ? ABSENT : formatBytes(cut.wire_bytes)}</td>
                <td>{[...new Set(Object.values(cut.codecs))].join(", ") || "as it is"}</td>
                <td>{cut.way === "studio" ? "through the studio" : cut.way === "direct" ? "direct" : ABSENT}</td>
                <td>{link ? formatPercent(link.utilisation) : ABSENT}</td>
              </tr>
            );
          })}
        </tbody>
      </table>
    </Part>
  );
}

export function NetworkPart({ report: { network, deployment, run, model_id } }: { report: RunReport }) {
  const facts: [string, string][] = [
    ...(network
      ? ([
          ["Layers", formatWhole(network.layer_count)],
          ["Work", formatMacs(network.macs)],
          ["Parameters", formatCount(network.parameters)],
          ["Weights", formatBytes(network.weight_bytes)],
          ["Form", network.simplified ? "simplified" : "as in the file"],
          ...network.inputs.map((input) => [`Input ${input.name}`, `${formatShape(input.shape)} ${input.dtype}`]),
          ["SHA-256", network.digest.slice(0, 16)],
        ] as [string, string][])
      : []),
    ...(deployment
      ? ([
          ["Deployed", formatMoment(deployment.created_at)],
          ["Took to deploy", secondsOr(deployment.deploy_s)],
          ["Layers divided", deployment.plan.shards.length === 0 ? "none" : plural(deployment.plan.shards.length, "division")],
        ] as [string, string][])
      : []),
    ["Run", run.id],
    ...(model_id === null ? [] : ([["Network id", model_id]] as [string, string][])),
  ];
  return (
    <section className="report-part" aria-label="What ran">
      <h2>What ran</h2>
      <dl className="device-dl report-facts">
        {facts.map(([term, value]) => (
          <div key={term}>
            <dt>{term}</dt>
            <dd>{value}</dd>
          </div>
        ))}
      </dl>
      {(deployment?.notes ?? []).map((note) => (
        <p key={note} className="report-note">
          {note}.
        </p>
      ))}
    </section>
  );
}
