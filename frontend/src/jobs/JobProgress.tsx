/** One long task: what it does now, how far it is, and a way to end it. */
import { Button, Progress } from "@mantine/core";
import { useState } from "react";
import { isGoing } from "@/api/queries";
import type { Job } from "@/api/types";
import { formatElapsed } from "@/app/format";
import { ProblemCard } from "@/app/ProblemCard";
import { useNow } from "@/live/store";
import { cancelJob } from "./useJobs";
import { amountOf, shareOf, STATE_WORDS } from "./words";

interface JobProgressProps {
  job: Job;
  /** Without the title, where the place itself says what is done. */
  bare?: boolean;
}

export function JobProgress({ job, bare = false }: JobProgressProps) {
  const going = isGoing(job);
  const now = useNow(going);
  const [asked, setAsked] = useState(false);
  const share = shareOf(job);
  const end = job.ended_at === null ? now : Date.parse(job.ended_at);
  const elapsed = Math.max(0, (end - Date.parse(job.started_at)) / 1000);
  const count = going ? amountOf(job) : null;
  return (
    <div className={`job job-${job.state}`} data-testid={`job-${job.kind}`} data-state={job.state}>
      <div className="job-head">
        {!bare && <b>{job.title}</b>}
        <span className="job-step">{going ? job.step || STATE_WORDS[job.state] : STATE_WORDS[job.state]}</span>
        <span className="job-time">{[count, formatElapsed(elapsed)].filter((part) => part !== null).join(" · ")}</span>
        {going && (
          <Button
            size="compact-xs"
            variant="default"
            loading={asked}
            onClick={() => {
              setAsked(true);
              void cancelJob(job.id).finally(() => setAsked(false));
            }}
            aria-label={`Cancel: ${job.title}`}
            data-testid={`cancel-${job.kind}`}
          >
            Cancel
          </Button>
        )}
      </div>
      {going && <Progress value={share === null ? 100 : share * 100} animated={share === null} striped={share === null} size="sm" aria-label={`${job.title}: progress`} />}
      {job.problem && <ProblemCard problem={job.problem} />}
      {job.warnings.length > 0 && (
        <ul className="job-warnings">
          {job.warnings.map((warning) => (
            <li key={warning}>{warning}</li>
          ))}
        </ul>
      )}
    </div>
  );
}
