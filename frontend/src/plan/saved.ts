/** Saved plans over the API. Each throws a Problem. */
import { call, client, type Problem } from "@/api/client";
import type { Model, SavedPlan } from "@/api/types";
import { planDocument, type Content } from "./content";

/** A studio that hangs, or is cut off, answers nothing at all; a large plan on a slow network takes a while. */
const ANSWER_MS = 30_000;
const patience = (): { signal: AbortSignal } => ({ signal: AbortSignal.timeout(ANSWER_MS) });

/** What a browser still sends of a page that is left. */
const MOST_BYTES_LEAVING = 60_000;

export const plansOf = (modelId: string): Promise<SavedPlan[]> => call(client.GET("/api/models/{model_id}/plans", { params: { path: { model_id: modelId } }, ...patience() }));

export const planOf = (id: number): Promise<SavedPlan> => call(client.GET("/api/plans/{plan_id}", { params: { path: { plan_id: id } }, ...patience() }));

export const createPlan = (model: Model, content: Content, name: string): Promise<SavedPlan> =>
  call(client.POST("/api/models/{model_id}/plans", { params: { path: { model_id: model.id } }, body: { name, plan: planDocument(model, content) }, ...patience() }));

/** `leaving`: the page goes away, and the request shall outlive it. */
export function updatePlan(model: Model, { id, revision }: SavedPlan, content: Content, name: string, leaving = false): Promise<SavedPlan> {
  const body = { name, plan: planDocument(model, content), revision };
  const keepalive = leaving && JSON.stringify(body).length < MOST_BYTES_LEAVING;
  return call(client.PUT("/api/plans/{plan_id}", { params: { path: { plan_id: id } }, body, keepalive, ...patience() }));
}

/** As it is saved, of whichever form of the network. */
export const renamePlan = ({ id, plan, revision }: SavedPlan, name: string): Promise<SavedPlan> => call(client.PUT("/api/plans/{plan_id}", { params: { path: { plan_id: id } }, body: { name, plan, revision } }));

export const removePlan = (id: number): Promise<void> => call(client.DELETE("/api/plans/{plan_id}", { params: { path: { plan_id: id } } }));

/** Bring a removed plan back, with its id; the studio has it for a while. */
export const restorePlan = (id: number): Promise<SavedPlan> => call(client.POST("/api/plans/{plan_id}/restore", { params: { path: { plan_id: id } } }));

export const hasModel = async (modelId: string): Promise<boolean> => (await call(client.GET("/api/models", patience()))).some(({ id }) => id === modelId);

/** Whether the studio may take the same request later. */
export const isPassing = ({ status }: Problem): boolean => status === 0 || status === 401 || status === 408 || status === 429 || status >= 500;
