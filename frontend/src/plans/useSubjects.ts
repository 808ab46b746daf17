/** What can be laid side by side with the open plan, as far as the studio has told. */
import { useQueries, useQuery } from "@tanstack/react-query";
import { useMemo } from "react";
import { asProblem } from "@/api/client";
import type { Deployment, Model } from "@/api/types";
import { plural } from "@/app/format";
import type { Network } from "@/graph/network";
import { estimate, type Estimate } from "@/plan/estimate";
import { useSync } from "@/plan/sync";
import type { Prediction } from "@/planner/types";
import { baselinesQuery, foretoldQuery, plansQuery } from "./queries";
import { subjectsOf, type Subject } from "./subjects";

export function useSubjects(model: Model, running: Deployment | null, fleet: string): { subjects: readonly Subject[]; loaded: boolean } {
  const open = useSync(({ plan }) => plan?.id ?? null);
  const plans = useQuery(plansQuery(model.id));
  const baselines = useQuery(baselinesQuery(model, fleet));
  const subjects = useMemo(() => subjectsOf(model, open, plans.data ?? [], running, baselines.data ?? []), [model, open, plans.data, running, baselines.data]);
  return { subjects, loaded: plans.data !== undefined && !baselines.isPending };
}

/** A plan with what is predicted of it. */
export interface Foretold {
  subject: Subject;
  local: Estimate;
  prediction: Prediction | null;
  /** Whether an answer is on its way. */
  pending: boolean;
  /** Why nothing can be predicted. */
  why: string | null;
}

export const unplacedWords = (count: number): string => `${plural(count, "layer")} on no device`;

/** Predict plans that are not open. A plan that is not finished is not asked about. */
export function useForetold(model: Model, network: Network, subjects: readonly Subject[], fleet: string): Foretold[] {
  const locals = useMemo(() => subjects.map(({ content }) => estimate(network, content)), [network, subjects]);
  const answers = useQueries({
    queries: subjects.map(({ version, content, prediction }, i) => ({ ...foretoldQuery(model, version, content, fleet), enabled: prediction === null && locals[i]?.unplaced === 0 })),
  });
  return subjects.map((subject, i) => {
    const local = locals[i] ?? estimate(network, subject.content);
    const answer = answers[i];
    const why = local.unplaced > 0 ? unplacedWords(local.unplaced) : answer?.error ? asProblem(answer.error).message : null;
    return { subject, local, prediction: subject.prediction ?? answer?.data ?? null, pending: answer?.isFetching ?? false, why };
  });
}
