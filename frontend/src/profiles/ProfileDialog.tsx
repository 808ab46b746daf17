/** Profiling a device: choose a model, watch it being measured, look at what was measured. */
import { ActionIcon, Button, Checkbox, NumberInput, Select, Tooltip } from "@mantine/core";
import { useQuery } from "@tanstack/react-query";
import { IconStopwatch, IconTrash } from "@tabler/icons-react";
import { useEffect, useState } from "react";
import { asProblem, call, client } from "@/api/client";
import { modelsQuery, profilesQuery, queryClient } from "@/api/queries";
import type { ProfileSummary } from "@/api/types";
import { Dialog } from "@/app/Dialog";
import { formatAgo, formatDuration } from "@/app/format";
import { tellProblem } from "@/app/notify";
import { ProblemCard } from "@/app/ProblemCard";
import { JobProgress } from "@/jobs/JobProgress";
import { useJobs, useTask } from "@/jobs/useJobs";
import { jobOf } from "@/jobs/words";
import { useNow } from "@/live/store";
import { ProfileResult } from "./ProfileResult";
import { describeConditions } from "./table";

export function ProfileDialog({ name, close }: { name: string; close: () => void }) {
  const [shown, setShown] = useState<number | null>(null);
  return (
    <Dialog onClose={close} title={`Profile of ${name}`} size={920}>
      {shown === null ? <Overview name={name} show={setShown} /> : <ProfileResult id={shown} back={() => setShown(null)} />}
    </Dialog>
  );
}

function Overview({ name, show }: { name: string; show: (id: number) => void }) {
  const models = useQuery(modelsQuery);
  const { data, error } = useQuery(profilesQuery);
  const profiles = (data ?? []).filter(({ device }) => device === name);
  const jobs = useJobs();
  const task = useTask();
  const [chosen, setChosen] = useState<string | null>(null);
  const [threads, setThreads] = useState<number | string>("");
  const [again, setAgain] = useState(false);
  const now = useNow();
  const model = chosen ?? models.data?.[0]?.id ?? null;
  const going = jobOf(jobs, name);
  const job = going ?? task.job;
  const ended = task.job?.state === "done" ? task.job : null;
  useEffect(() => {
    if (ended !== null) void queryClient.invalidateQueries({ queryKey: ["profiles"] });
  }, [ended]);
  const start = () => {
    if (model === null) return;
    const body = { model_id: model, threads: typeof threads === "number" ? threads : 0, again };
    task.start(call(client.POST("/api/devices/{name}/profiles", { params: { path: { name } }, body })));
  };
  // Newest first: what was just measured is the first of its model.
  const fresh = ended === null ? undefined : profiles.find(({ model_id }) => model_id === ended.model_id);
  return (
    <div className="profile">
      <p className="dialog-text">Each layer is run on the device by itself and as the runtime fuses it: warmed up, many times, with the outliers told. That takes about a minute for a network like ResNet-50.</p>
      {models.data?.length === 0 ? (
        <p className="none">There is no model yet. Add one on the page Models first.</p>
      ) : (
        <div className="profile-start">
          <Select label="Model" value={model} onChange={setChosen} allowDeselect={false} data={(models.data ?? []).map(({ id, name: text }) => ({ value: id, label: text }))} data-testid="profile-model" data-autofocus />
          <NumberInput label="Threads" placeholder="all usable" min={1} max={256} allowDecimal={false} value={threads} onChange={setThreads} data-testid="profile-threads" />
          <Checkbox size="xs" label="Measure anew" description="even when the same was measured before" checked={again} onChange={(event) => setAgain(event.currentTarget.checked)} data-testid="profile-again" />
          <Button leftSection={<IconStopwatch size={15} />} onClick={start} disabled={model === null || going !== null} loading={task.going && going === null} data-testid="profile-start">
            Measure
          </Button>
        </div>
      )}
      {job && (going !== null || job.state !== "done") && <JobProgress job={job} />}
      {task.problem !== null && task.job?.state !== "failed" && <ProblemCard problem={task.problem} />}
      {fresh && (
        <div className="profile-fresh" role="status">
          <span>
            {fresh.model_name}: {formatDuration(fresh.run_s)} in one go.
          </span>
          <Button size="compact-sm" onClick={() => show(fresh.id)} data-testid="profile-show">
            Show the layers
          </Button>
        </div>
      )}
      {error && <ProblemCard problem={asProblem(error)} />}
      {profiles.length > 0 && (
        <table className="plain-table" data-testid="profiles">
          <caption>Measured on this device</caption>
          <thead>
            <tr>
              {["Model", "In one go", "Fused, summed", "Alone, summed", "Conditions", "Measured"].map((title) => (
                <th key={title} scope="col">
                  {title}
                </th>
              ))}
              <td />
            </tr>
          </thead>
          <tbody>
            {profiles.map((profile) => (
              <ProfileLine key={profile.id} profile={profile} now={now} show={() => show(profile.id)} />
            ))}
          </tbody>
        </table>
      )}
    </div>
  );
}

function ProfileLine({ profile, now, show }: { profile: ProfileSummary; now: number; show: () => void }) {
  const forget = () => {
    call(client.DELETE("/api/profiles/{profile_id}", { params: { path: { profile_id: profile.id } } })).then(() => queryClient.invalidateQueries({ queryKey: ["profiles"] }), tellProblem);
  };
  return (
    <tr>
      <th scope="row">
        <button type="button" className="link" onClick={show} data-testid={`profile-${profile.id}`}>
          {profile.model_name}
        </button>
      </th>
      <td>{formatDuration(profile.run_s)}</td>
      <td>{formatDuration(profile.kernels_s)}</td>
      <td>{formatDuration(profile.layers_s)}</td>
      <td>
        {describeConditions(profile)}
        {profile.throttled.length > 0 && <span className="throttled">throttled</span>}
      </td>
      <td>{formatAgo(profile.measured_at, now)}</td>
      <td>
        <Tooltip label="Forget this profile">
          <ActionIcon size="sm" variant="subtle" color="gray" onClick={forget} aria-label={`Forget the profile of ${profile.model_name}, ${formatAgo(profile.measured_at, now)}`}>
            <IconTrash size={14} />
          </ActionIcon>
        </Tooltip>
      </td>
    </tr>
  );
}
