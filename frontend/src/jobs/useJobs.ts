/** Starting, following and cancelling long tasks. */
import { useQuery } from "@tanstack/react-query";
import { useState } from "react";
import { asProblem, call, client, type Problem } from "@/api/client";
import { isGoing, jobsQuery, rememberJob } from "@/api/queries";
import type { Job, ProblemBody } from "@/api/types";
import { tellProblem } from "@/app/notify";
import { newestOf } from "./words";

export const useJobs = (): Job[] => useQuery(jobsQuery).data ?? [];

export function cancelJob(id: string): Promise<void> {
  return call(client.POST("/api/jobs/{job_id}/cancel", { params: { path: { job_id: id } } })).then(rememberJob, tellProblem);
}

export interface Task {
  /** The job that was started here, with its newest state. */
  job: Job | null;
  going: boolean;
  /** Why it could not be started, or why it failed. */
  problem: Problem | ProblemBody | null;
  start: (request: Promise<Job>) => void;
  cancel: () => void;
  forget: () => void;
}

/** A job that a part of the page starts and shows. */
export function useTask(): Task {
  const jobs = useQuery(jobsQuery).data;
  /** As it was seen last. */
  const [seen, setSeen] = useState<Job | null>(null);
  const [sending, setSending] = useState(false);
  const [refused, setRefused] = useState<Problem | null>(null);
  const listed = jobs?.find(({ id }) => id === seen?.id);
  if (listed && listed !== seen) setSeen(listed);
  const job = seen && newestOf(seen, jobs);
  return {
    job,
    going: sending || (job !== null && isGoing(job)),
    problem: refused ?? (job?.state === "failed" ? job.problem : null),
    start: (request) => {
      setSending(true);
      setRefused(null);
      setSeen(null);
      request
        .then(
          (answer) => {
            rememberJob(answer);
            setSeen(answer);
          },
          (error: unknown) => setRefused(asProblem(error)),
        )
        .finally(() => setSending(false));
    },
    cancel: () => {
      if (job) void cancelJob(job.id);
    },
    forget: () => {
      setSeen(null);
      setRefused(null);
    },
  };
}
