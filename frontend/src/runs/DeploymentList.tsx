/** Deployments, those that never ran among them: when, of what, on which devices, and what became of it. */
import { Loader } from "@mantine/core";
import { useQuery } from "@tanstack/react-query";
import { asProblem } from "@/api/client";
import { deploymentsQuery } from "@/api/queries";
import type { Deployment } from "@/api/types";
import { formatAgo, plural } from "@/app/format";
import { Link } from "@/app/Header";
import { HeadRow } from "@/app/HeadRow";
import { ProblemCard } from "@/app/ProblemCard";
import { editorPath, runsPath } from "@/app/router";
import { useNow } from "@/live/store";
import { NoRuns } from "./NoRuns";
import { formatMoment, fpsOr, secondsOr } from "./words";

const TITLES = ["Network and plan", "Requested", "Devices", "Took to deploy", "Last run", "State"];

export function DeploymentList() {
  const { data, error } = useQuery(deploymentsQuery);
  const now = useNow();
  // What was there stays while the studio is away.
  if (!data) return error ? <ProblemCard problem={asProblem(error)} /> : <Loader size="sm" />;
  if (data.length === 0) return <NoRuns />;
  return (
    <div className="runs-scroll" tabIndex={0} role="region" aria-label="Table of deployments">
      <table className="plain-table runs-table" data-testid="deployments">
        <HeadRow titles={TITLES} />
        <tbody>
          {data.map((deployment) => (
            <DeploymentLine key={deployment.id} deployment={deployment} now={now} />
          ))}
        </tbody>
      </table>
    </div>
  );
}

function DeploymentLine({ deployment, now }: { deployment: Deployment; now: number }) {
  const { id, model_id, model_name, plan_name, devices, run, state, problem, created_at, deploy_s } = deployment;
  return (
    <tr data-testid={`deployment-${id}`}>
      <th scope="row">
        <Link to={editorPath(model_id)}>{model_name}</Link>
        <small title={plan_name ?? undefined}>{plan_name ?? "plan without a name"}</small>
      </th>
      <td title={formatMoment(created_at)}>{formatAgo(created_at, now)}</td>
      <td className="run-devices" title={devices.map(({ device }) => device).join(", ")}>
        {plural(devices.length, "device")}
      </td>
      <td>{secondsOr(deploy_s)}</td>
      <td>{run ? <Link to={runsPath([run.id])}>{`${fpsOr(run.frames_per_s)} frames/s`}</Link> : "never ran"}</td>
      <td className="is-words">
        <span className={`run-end run-${state}`}>{state}</span>
        {problem && <small>{problem.message}</small>}
      </td>
    </tr>
  );
}
