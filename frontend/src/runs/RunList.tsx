/** The history of runs: filtered, by page; some chosen to be compared or deleted. */
import { Button, Checkbox, Loader, Select } from "@mantine/core";
import { useQuery } from "@tanstack/react-query";
import { IconColumns3, IconTrash } from "@tabler/icons-react";
import { useState } from "react";
import { asProblem } from "@/api/client";
import { devicesQuery, modelsQuery } from "@/api/queries";
import type { RunSummary } from "@/api/types";
import { formatAgo, formatWhole, plural } from "@/app/format";
import { Link } from "@/app/Header";
import { ProblemCard } from "@/app/ProblemCard";
import { navigate, runsPath } from "@/app/router";
import { useLive, useNow } from "@/live/store";
import { ABSENT } from "@/power/words";
import { describeError } from "@/profiles/table";
import { DeleteRuns } from "./DeleteRuns";
import { NoRuns } from "./NoRuns";
import { ALL_RUNS, lastPage, PAGE_SIZE, runsQuery, type RunFilter } from "./queries";
import { END_WORDS, formatLength, formatMoment, fpsOr, perFrame, secondsOr } from "./words";

const MOST_COMPARED = 6;
const STATES = Object.entries(END_WORDS).map(([value, label]) => ({ value, label }));

export function RunList() {
  const [filter, setFilter] = useState<RunFilter>(ALL_RUNS);
  const [chosen, setChosen] = useState<ReadonlySet<string>>(new Set());
  const [deleting, setDeleting] = useState<readonly string[] | null>(null);
  const { data, error, refetch, isPlaceholderData } = useQuery(runsQuery(filter));
  if (data && !isPlaceholderData && filter.page > lastPage(data.total)) setFilter({ ...filter, page: lastPage(data.total) });
  const now = useNow();
  const runs = data?.runs ?? [];
  const ids = [...chosen];
  const isFiltered = filter.model !== null || filter.device !== null || filter.state !== null;
  const toggle = (id: string) => setChosen((old) => (old.has(id) ? new Set(ids.filter((other) => other !== id)) : new Set([...old, id])));
  const failed = error && (
    <ProblemCard problem={asProblem(error)}>
      <Button size="xs" variant="default" onClick={() => void refetch()}>
        Try again
      </Button>
    </ProblemCard>
  );
  // What was there stays while the studio is away.
  if (!data) return failed ?? <Loader size="sm" />;
  if (data.total === 0 && !isFiltered) return failed ?? <NoRuns />;
  return (
    <>
      {failed}
      <Filters filter={filter} change={(part) => setFilter({ ...filter, page: 0, ...part })} />
      {data.total === 0 ? (
        <div className="empty">
          <h2>No run is like this</h2>
          <p>Nothing was kept with this network, device and end.</p>
          <Button size="xs" mt="sm" variant="default" onClick={() => setFilter(ALL_RUNS)}>
            Show all runs
          </Button>
        </div>
      ) : (
        <div className="runs-scroll" tabIndex={0} role="region" aria-label="Table of runs">
          <table className="plain-table runs-table" data-testid="runs">
            <thead>
              <tr>
                <td />
                {["Network and plan", "Began", "Devices", "Took", "Frames", "Lost", "Frames/s", "Median", "95th pct.", "Energy/frame", "Ended"].map((title) => (
                  <th key={title} scope="col">
                    {title}
                  </th>
                ))}
              </tr>
            </thead>
            <tbody>
              {runs.map((run) => (
                <RunLine key={run.id} run={run} now={now} chosen={chosen.has(run.id)} toggle={() => toggle(run.id)} />
              ))}
            </tbody>
          </table>
        </div>
      )}
      <div className="runs-foot">
        <div role="group" aria-label="With the chosen runs">
          <Button size="xs" leftSection={<IconColumns3 size={14} />} disabled={ids.length < 2 || ids.length > MOST_COMPARED} onClick={() => navigate(runsPath(ids))} data-testid="compare">
            Compare{ids.length > 1 ? ` ${ids.length}` : ""}
          </Button>
          <Button size="xs" variant="default" leftSection={<IconTrash size={14} />} disabled={ids.length === 0} onClick={() => setDeleting(ids)} data-testid="delete-chosen">
            Delete…
          </Button>
          <span className="hint" role="status">
            {ids.length === 0 ? "Tick two or more to compare them." : ids.length > MOST_COMPARED ? `At most ${MOST_COMPARED} stand side by side.` : `${ids.length} ticked`}
          </span>
        </div>
        <Pages total={data.total} page={filter.page} go={(page) => setFilter({ ...filter, page })} />
      </div>
      {deleting && (
        <DeleteRuns
          ids={deleting}
          close={() => setDeleting(null)}
          done={() => {
            setDeleting(null);
            setChosen(new Set());
          }}
        />
      )}
    </>
  );
}

function Filters({ filter, change }: { filter: RunFilter; change: (part: Partial<RunFilter>) => void }) {
  const models = useQuery(modelsQuery).data ?? [];
  const devices = useQuery(devicesQuery).data ?? [];
  return (
    <div className="runs-filters" role="group" aria-label="Which runs">
      <Select size="xs" aria-label="Network" placeholder="Any network" clearable value={filter.model} onChange={(model) => change({ model })} data={models.map(({ id, name }) => ({ value: id, label: name }))} data-testid="filter-model" />
      <Select size="xs" aria-label="Device" placeholder="Any device" clearable searchable value={filter.device} onChange={(device) => change({ device })} data={devices.map(({ name }) => name)} data-testid="filter-device" />
      <Select size="xs" aria-label="How it ended" placeholder="Any end" clearable value={filter.state} onChange={(state) => change({ state: state as RunFilter["state"] })} data={STATES} data-testid="filter-state" />
    </div>
  );
}

function Pages({ total, page, go }: { total: number; page: number; go: (page: number) => void }) {
  const first = page * PAGE_SIZE + 1;
  const last = Math.min(total, first + PAGE_SIZE - 1);
  if (total <= PAGE_SIZE) return <span className="hint">{plural(total, "run")}</span>;
  return (
    <div className="runs-pages">
      <span className="hint">
        {first} to {last} of {total}
      </span>
      <Button size="compact-sm" variant="default" disabled={page === 0} onClick={() => go(page - 1)}>
        Newer
      </Button>
      <Button size="compact-sm" variant="default" disabled={last >= total} onClick={() => go(page + 1)}>
        Older
      </Button>
    </div>
  );
}

function RunLine({ run: kept, now, chosen, toggle }: { run: RunSummary; now: number; chosen: boolean; toggle: () => void }) {
  // What goes on is newer on the live connection.
  const live = useLive(({ runs }) => runs[kept.id]);
  const run = kept.state === "running" && live ? { ...kept, ...live } : kept;
  const name = kept.model_name ?? "a removed network";
  const energy = Object.entries(kept.energy).flatMap(([device, figure]) => {
    const told = perFrame(figure);
    return told === null ? [] : [`${device} ${told}`];
  });
  return (
    <tr className={chosen ? "is-chosen" : ""} data-testid={`run-${kept.id}`}>
      <td className="run-tick">
        <Checkbox size="xs" checked={chosen} onChange={toggle} aria-label={`Choose the run of ${name}, ${formatMoment(kept.started_at)}`} />
      </td>
      <th scope="row">
        <Link to={runsPath([kept.id])}>{name}</Link>
        <small title={kept.plan_name ?? undefined}>{kept.plan_name ?? "plan without a name"}</small>
      </th>
      <td title={formatMoment(kept.started_at)}>{formatAgo(kept.started_at, now)}</td>
      <td className="run-devices" title={kept.devices.join(", ")}>
        {kept.devices.length === 0 ? ABSENT : kept.devices.length > 2 ? plural(kept.devices.length, "device") : kept.devices.join(", ")}
      </td>
      <td>{formatLength(run.elapsed_s)}</td>
      <td>{formatWhole(run.delivered)}</td>
      <td className={run.lost > 0 ? "is-bad" : ""}>{formatWhole(run.lost)}</td>
      <td>
        <b>{fpsOr(run.frames_per_s)}</b>
        {kept.predicted_frames_per_s !== null && (
          <small title={`${describeError(kept.predicted_frames_per_s, run.frames_per_s) ?? ABSENT} against predicted`}>predicted {fpsOr(kept.predicted_frames_per_s)}</small>
        )}
      </td>
      <td>{secondsOr(run.latency_p50_s)}</td>
      <td>{secondsOr(run.latency_p95_s)}</td>
      <td className="run-energy" title={energy.join("\n") || "No device told any energy"}>
        {energy.length === 0 ? ABSENT : energy.slice(0, 2).map((text) => <span key={text}>{text}</span>)}
        {energy.length > 2 && <small>and {energy.length - 2} more</small>}
      </td>
      <td>
        <span className={`run-end run-${run.state}`} title={kept.problem?.message}>
          {END_WORDS[run.state]}
        </span>
      </td>
    </tr>
  );
}
