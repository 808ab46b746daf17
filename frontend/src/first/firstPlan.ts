/** The plan that the first steps keep. */
import { call, client } from "@/api/client";
import type { Plan, SavedPlan } from "@/api/types";
import { sameValue } from "@/plan/content";
import { plansOf } from "@/plan/saved";

const NAME = "First plan";

/** Keep the plan. What an earlier try left is taken again, so that each does not leave another one; what somebody has edited since stays. Throws a Problem. */
export async function keepFirstPlan(modelId: string, plan: Plan): Promise<SavedPlan> {
  const earlier = (await plansOf(modelId)).filter(({ name }) => name === NAME);
  const same = earlier.find((saved) => sameValue(saved.plan, plan));
  if (same) return same;
  const body = { name: NAME, plan };
  const untouched = earlier.find(({ revision }) => revision === 1);
  if (untouched) return call(client.PUT("/api/plans/{plan_id}", { params: { path: { plan_id: untouched.id } }, body: { ...body, revision: 1 } }));
  return call(client.POST("/api/models/{model_id}/plans", { params: { path: { model_id: modelId } }, body }));
}
