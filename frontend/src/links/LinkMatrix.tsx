/** What links between devices carry, every direction, and measuring them. */
import { Button, Tooltip } from "@mantine/core";
import { useQuery } from "@tanstack/react-query";
import { IconArrowsExchange } from "@tabler/icons-react";
import { asProblem, call, client } from "@/api/client";
import { linksQuery } from "@/api/queries";
import { formatAgo, formatDuration } from "@/app/format";
import { ProblemCard } from "@/app/ProblemCard";
import { JobProgress } from "@/jobs/JobProgress";
import { useJobs, useTask } from "@/jobs/useJobs";
import { useNow } from "@/live/store";
import { describeRate, describeRoundTrip, matrixOf, unevenPairs, METHOD_WORDS, type Cell } from "./matrix";

export function LinkMatrix({ devices }: { devices: readonly string[] }) {
  const { data, error, refetch } = useQuery(linksQuery);
  const task = useTask();
  const going = useJobs().find(({ kind, state }) => kind === "links" && (state === "running" || state === "waiting"));
  const shown = going ?? task.job;
  const now = useNow();
  const matrix = matrixOf(data ?? { links: [], failures: [], background_every_s: null }, devices);
  const failures = matrix.rows.flatMap(({ source, cells }) => cells.flatMap((cell, i) => (cell.kind === "failed" ? [{ source, target: matrix.names[i] ?? "", reason: cell.reason, at: cell.at }] : [])));
  const uneven = unevenPairs(matrix);
  const every = data?.background_every_s;
  return (
    <section className="links" aria-label="Links" data-testid="links">
      <div className="page-head">
        <h2>Links</h2>
        <p>
          What tensors get through, encryption included; rows send, columns receive. Each figure is one measurement, with its age.
          {every != null && ` Measured again in the background every ${every < 120 ? formatDuration(every) : `${Math.round(every / 60)} min`}.`}
        </p>
        <Button size="xs" variant="default" leftSection={<IconArrowsExchange size={14} />} onClick={() => task.start(call(client.POST("/api/links", { body: { devices: null, seconds: 1 } })))} disabled={devices.length === 0 || going !== undefined} loading={task.going && !going} data-testid="measure-links">
          Measure
        </Button>
      </div>
      {shown && shown.state !== "done" && <JobProgress job={shown} />}
      {shown?.state === "done" && shown.warnings.length > 0 && <JobProgress job={shown} />}
      {task.problem !== null && shown?.state !== "failed" && <ProblemCard problem={task.problem} />}
      {error && (
        <ProblemCard problem={asProblem(error)}>
          <Button size="xs" variant="default" onClick={() => void refetch()}>
            Try again
          </Button>
        </ProblemCard>
      )}
      <div className="matrix-scroll" tabIndex={0} role="region" aria-label="Matrix of links">
        <table className="matrix" data-testid="link-matrix">
          <thead>
            <tr>
              <th scope="col">
                from <span aria-hidden>↓</span> to <span aria-hidden>→</span>
              </th>
              {matrix.names.map((name) => (
                <th key={name} scope="col">
                  {name}
                </th>
              ))}
            </tr>
          </thead>
          <tbody>
            {matrix.rows.map(({ source, cells }) => (
              <tr key={source}>
                <th scope="row">{source}</th>
                {cells.map((cell, i) => (
                  <LinkCell key={matrix.names[i]} cell={cell} now={now} name={`${source}-${matrix.names[i] ?? ""}`} />
                ))}
              </tr>
            ))}
          </tbody>
        </table>
      </div>
      {uneven.length > 0 && (
        <ul className="link-failures" aria-label="Links to measure again" data-testid="uneven-links">
          {uneven.map(({ fast, slow }) => (
            <li key={`${slow.source} ${slow.target}`}>
              <b>
                {slow.source} to {slow.target}
              </b>{" "}
              {describeRate(slow)}, but {describeRate(fast)} back: something may have disturbed one of them. Measure again.
            </li>
          ))}
        </ul>
      )}
      {failures.length > 0 && (
        <ul className="link-failures" aria-label="Links that could not be measured">
          {failures.map(({ source, target, reason, at }) => (
            <li key={`${source} ${target}`}>
              <b>
                {source} to {target}
              </b>{" "}
              {reason} <small>{formatAgo(at, now)}</small>
            </li>
          ))}
        </ul>
      )}
    </section>
  );
}

function LinkCell({ cell, now, name }: { cell: Cell; now: number; name: string }) {
  if (cell.kind === "self") return <td className="is-self" aria-label="itself" />;
  if (cell.kind === "none") return <td className="is-none" data-testid={`link-${name}`}>–</td>;
  if (cell.kind === "failed") {
    return (
      <td className="is-failed" data-testid={`link-${name}`}>
        <Tooltip label={cell.reason} multiline maw={320}>
          <span tabIndex={0}>failed</span>
        </Tooltip>
        {cell.older && <small>before: {describeRate(cell.older)}</small>}
      </td>
    );
  }
  const { link } = cell;
  const title = `${METHOD_WORDS[link.method]} ${formatAgo(link.measured_at, now)}${link.method === "traffic" ? ": at least this" : ""}${link.rtt_min_s === null ? "" : `; shortest round trip ${formatDuration(link.rtt_min_s)}`}`;
  return (
    <td className={`is-${link.method}`} data-testid={`link-${name}`} title={title}>
      <b>{describeRate(link)}</b>
      <span>{describeRoundTrip(link)} round trip</span>
      <small>
        {link.method === "measured" ? "" : link.method === "traffic" ? "at least (traffic), " : "background, "}
        {formatAgo(link.measured_at, now)}
      </small>
    </td>
  );
}
