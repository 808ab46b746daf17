/** Searches of the opened model: starting, following and stopping them. */
import { useQueries, useQuery, queryOptions } from "@tanstack/react-query";
import { useEffect, useMemo, useState } from "react";
import { asProblem, call, client, type Problem } from "@/api/client";
import { isGoing, jobsQuery, queryClient, rememberJob } from "@/api/queries";
import type { Job, Model, ProblemBody } from "@/api/types";
import { cancelJob } from "@/jobs/useJobs";
import { newestOf } from "@/jobs/words";
import { sameForm } from "@/plan/content";
import { planStore } from "@/plan/store";
import { paretoOf, questionOf } from "./question";
import type { QuestionForm } from "./questionForm";
import { recordTrace } from "./recordTrace";
import { plannerStore, usePlanner } from "./store";
import type { Sample } from "./trace";
import type { Search } from "./types";

/** Messages say when there is something new; now and then it is asked for anyway. */
const ASK_EVERY_MS = 2000;
/** Searches of earlier visits that are looked at. */
const LOOKED_AT = 6;

export const searchQuery = (model: string, job: string) =>
  queryOptions({
    queryKey: ["search", job],
    staleTime: 0,
    queryFn: (): Promise<Search> => call(client.GET("/api/models/{model_id}/searches/{job_id}", { params: { path: { model_id: model, job_id: job } } })),
  });

/** The search as it is when it has ended. */
export const endedSearch = (model: string, job: string): Promise<Search> => queryClient.fetchQuery(searchQuery(model, job));

export interface Searching {
  job: Job | null;
  going: boolean;
  search: Search | null;
  /** Why it could not be started, or why it failed. */
  problem: Problem | ProblemBody | null;
  stop: () => void;
  /** How it came along, as far as this page has seen it. */
  samples: readonly Sample[];
}

const NO_SAMPLES: readonly Sample[] = [];

/** What was found for another form of the model has other layers. */
function ofForm(search: Search | null, model: Model): Search | null {
  const plans = search === null ? [] : [search.answer, ...search.front, ...search.baselines].flatMap((found) => found?.plan ?? []);
  return plans.every(({ network }) => sameForm(network, model)) ? search : null;
}

const isForgotten = ({ id }: Job, jobs: readonly Job[] | undefined): boolean => jobs !== undefined && !jobs.some((job) => job.id === id);

/** The newest searches of a model, and behind them those that ended with the studio while they went on (`seen`). */
export function searchesOf(jobs: readonly Job[] | undefined, seen: readonly Job[], model: string): Job[] {
  const listed = (jobs ?? []).filter(({ kind, model_id }) => kind === "search" && model_id === model).slice(0, LOOKED_AT);
  const forgotten = seen.filter((job) => job.model_id === model && isForgotten(job, jobs)).map((job) => newestOf(job, jobs));
  return [...listed, ...forgotten];
}

/** The searches that go on, as they were seen last, once the studio has told this of its jobs; the same ones where nothing changed. */
export function stillGoing(seen: readonly Job[], jobs: readonly Job[]): readonly Job[] {
  const begun = jobs.filter((job) => job.kind === "search" && isGoing(job) && !seen.some(({ id }) => id === job.id));
  const kept = seen.filter(({ id }) => !jobs.some((job) => job.id === id && !isGoing(job)));
  return begun.length === 0 && kept.length === seen.length ? seen : [...kept, ...begun];
}

/** The newest search for the best plan, and the newest for the front; those of other windows and earlier visits, too. */
export function useSearches(model: Model): Record<"best" | "front", Searching> {
  const jobs = useQuery(jobsQuery).data;
  const seen = usePlanner((state) => state.going);
  const mine = useMemo(() => searchesOf(jobs, seen, model.id), [jobs, seen, model.id]);
  useEffect(() => {
    if (jobs) plannerStore.setState(({ going }) => ({ going: stillGoing(going, jobs) }));
  }, [jobs]);
  const asked = usePlanner((state) => state.jobs);
  const traces = usePlanner((state) => state.traces);
  const results = useQueries({
    // One that waits for its turn has found nothing that could be asked for.
    queries: mine.map((job) => ({ ...searchQuery(model.id, job.id), enabled: job.state !== "waiting" && !isForgotten(job, jobs), refetchInterval: isGoing(job) ? ASK_EVERY_MS : (false as const) })),
  });
  const going = mine.map((job, i) => (isGoing(job) || job.id in traces ? results[i]?.data : undefined)).find((search) => search?.kind === "best");
  useEffect(() => {
    if (going) recordTrace(going);
  }, [going]);
  const find = (kind: Search["kind"], preferred: string | null): Searching => {
    const place = preferred === null ? mine.findIndex((_, i) => results[i]?.data?.kind === kind) : mine.findIndex(({ id }) => id === preferred);
    const job = mine[place] ?? null;
    return {
      job,
      going: job !== null && isGoing(job),
      search: ofForm(results[place]?.data ?? null, model),
      problem: job?.state === "failed" ? job.problem : null,
      stop: () => {
        if (job) void cancelJob(job.id);
      },
      samples: (job && traces[job.id]) ?? NO_SAMPLES,
    };
  };
  return { best: find("best", asked.best), front: find("pareto", asked.front) };
}

export interface Asking {
  sending: boolean;
  /** Why the studio did not take the question. */
  refused: Problem | null;
  ask: (form: QuestionForm, devices: readonly string[]) => void;
}

/** Starting a search. What the best one finds fills the graph, unless the plan was edited meanwhile. */
export function useAsking(model: Model, kind: "best" | "front"): Asking {
  const [sending, setSending] = useState(false);
  const [refused, setRefused] = useState<Problem | null>(null);
  const ask = (form: QuestionForm, devices: readonly string[]) => {
    const params = { path: { model_id: model.id } };
    const request = kind === "best" ? call(client.POST("/api/models/{model_id}/searches", { params, body: questionOf(form, devices) })) : call(client.POST("/api/models/{model_id}/fronts", { params, body: paretoOf(form, devices) }));
    const { content } = planStore.getState();
    setSending(true);
    setRefused(null);
    request
      .then(
        (job) => {
          rememberJob(job);
          plannerStore.setState(({ jobs, filling }) => ({ jobs: { ...jobs, [kind]: job.id }, filling: kind === "best" ? { job: job.id, content } : filling }));
        },
        (error: unknown) => setRefused(asProblem(error)),
      )
      .finally(() => setSending(false));
  };
  return { sending, refused, ask };
}
