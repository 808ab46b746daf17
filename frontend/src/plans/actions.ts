/** What can be done with saved plans: made, copied, named anew, removed and brought back. */
import { Problem } from "@/api/client";
import type { Model, SavedPlan } from "@/api/types";
import { contentOf, EMPTY, planDocument, sameForm, type Content } from "@/plan/content";
import type { PlanKeeper } from "@/plan/keeper";
import { createPlan, removePlan, renamePlan, restorePlan } from "@/plan/saved";
import { planStore } from "@/plan/store";
import { syncStore } from "@/plan/sync";
import { forgetPlan, rememberPlan } from "./queries";
import { copyName, freeName } from "./subjects";

/** The plan under the hand may be newer than what is saved of it. */
export const contentNow = (plan: SavedPlan): Content => (syncStore.getState().plan?.id === plan.id ? planStore.getState().content : contentOf(plan.plan));

const NOTHING_YET = (blocks: Content["rest"]["blocks"]): Content => ({ ...EMPTY, rest: { ...EMPTY.rest, blocks } });

/** An empty plan; blocks that were named stay, because they are of the network. */
export const newPlan = (keeper: PlanKeeper, names: readonly string[]): Promise<number> => keeper.createFrom(NOTHING_YET(planStore.getState().content.rest.blocks), freeName("Plan", names));

export const duplicate = (keeper: PlanKeeper, content: Content, name: string, names: readonly string[]): Promise<number> => keeper.createFrom(content, copyName(name, names));

/** Save a content as a plan of its own, while the open plan stays open. */
export async function saveBeside(model: Model, content: Content, name: string): Promise<SavedPlan> {
  const plan = await createPlan(model, content, name);
  rememberPlan(plan);
  return plan;
}

/** Give a plan another name; what is open is the keeper's. */
export async function rename(keeper: PlanKeeper, plan: SavedPlan, name: string): Promise<void> {
  if (syncStore.getState().plan?.id === plan.id) return keeper.rename(name);
  rememberPlan(await renamePlan(plan, name));
}

const isMissing = (error: unknown): boolean => error instanceof Problem && error.status === 404;

/** What was removed, and whether it was open. */
export interface Removed {
  plan: SavedPlan;
  wasOpen: boolean;
}

/** Remove a plan. Where it is open, another one is opened first; where there is no other, an empty one. */
export async function remove(keeper: PlanKeeper, model: Model, plan: SavedPlan, plans: readonly SavedPlan[]): Promise<Removed> {
  const wasOpen = syncStore.getState().plan?.id === plan.id;
  // With all edits that were made up to now.
  const kept = wasOpen ? { ...plan, plan: planDocument(model, contentNow(plan)) } : plan;
  if (wasOpen) {
    const next = plans.find((other) => other.id !== plan.id && sameForm(other.plan.network, model));
    await (next ? keeper.switchTo(next.id) : newPlan(keeper, [plan.name]));
  }
  try {
    await removePlan(plan.id);
  } catch (error) {
    // Somebody else was faster.
    if (!isMissing(error)) throw error;
  }
  forgetPlan(plan.model_id, plan.id);
  return { plan: kept, wasOpen };
}

/** Bring a removed plan back as it was, under its old address, and open it where it was open. What the studio does not have any more comes back as a new plan. */
export async function bringBack(keeper: PlanKeeper, model: Model, { plan, wasOpen }: Removed): Promise<void> {
  try {
    rememberPlan(await restorePlan(plan.id));
    if (wasOpen) await keeper.switchTo(plan.id);
  } catch (error) {
    if (!isMissing(error)) throw error;
    if (wasOpen) await keeper.createFrom(contentOf(plan.plan), plan.name);
    else await saveBeside(model, contentOf(plan.plan), plan.name);
  }
}
