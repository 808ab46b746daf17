/** The saved plans of a network, and what is predicted of plans that are not open. */
import { queryOptions } from "@tanstack/react-query";
import { call, client } from "@/api/client";
import { queryClient } from "@/api/queries";
import type { Model, SavedPlan } from "@/api/types";
import { onMeasured, onPlansChanged } from "@/live/socket";
import type { Content } from "@/plan/content";
import { askPrediction } from "@/planner/usePrediction";

export const plansQuery = (model: string) =>
  queryOptions({
    queryKey: ["plans", model],
    queryFn: () => call(client.GET("/api/models/{model_id}/plans", { params: { path: { model_id: model } } })),
  });

/** Of the model as it is loaded now, with the devices as they are now. */
export const baselinesQuery = ({ id, simplified }: Pick<Model, "id" | "simplified">, fleet: string) =>
  queryOptions({
    queryKey: ["foretold", "baselines", id, simplified, fleet],
    retry: false,
    queryFn: () => call(client.GET("/api/models/{model_id}/baselines", { params: { path: { model_id: id } } })),
  });

/** Each takes a core of the studio for a while, and the open plan goes first. */
const AT_ONCE = 2;
let asking = 0;
const waiting: (() => void)[] = [];

async function inTurn<T>(work: () => Promise<T>): Promise<T> {
  if (asking < AT_ONCE) asking += 1;
  else await new Promise<void>((go) => waiting.push(go));
  try {
    return await work();
  } finally {
    // The place goes to the next one, so that nobody else takes it in between.
    const next = waiting.shift();
    if (next) next();
    else asking -= 1;
  }
}

/** `version` names the content: with another content comes another version. */
export const foretoldQuery = (model: Model, version: string, content: Content, fleet: string) =>
  queryOptions({
    queryKey: ["foretold", model.id, model.simplified, version, fleet],
    staleTime: Infinity,
    retry: false,
    queryFn: ({ signal }) => inTurn(async () => (await askPrediction(model, content, false, signal)).prediction),
  });

/** Follow what makes these answers old; returns what ends it. */
export function followPlans(model: string): () => void {
  const offPlans = onPlansChanged((id) => {
    if (id === model || id === "*") void queryClient.invalidateQueries({ queryKey: ["plans", model] });
  });
  const offMeasured = onMeasured(() => void queryClient.invalidateQueries({ queryKey: ["foretold"] }));
  return () => {
    offPlans();
    offMeasured();
  };
}

export function rememberPlan(plan: SavedPlan): void {
  queryClient.setQueryData(plansQuery(plan.model_id).queryKey, (list) => list && [plan, ...list.filter(({ id }) => id !== plan.id)]);
}

export function forgetPlan(model: string, plan: number): void {
  queryClient.setQueryData(plansQuery(model).queryKey, (list) => list?.filter(({ id }) => id !== plan));
}
