/** Removing a plan asks nothing, because it can be taken back. */
import { Button } from "@mantine/core";
import { notifications } from "@mantine/notifications";
import { tellProblem } from "@/app/notify";
import type { Model, SavedPlan } from "@/api/types";
import type { PlanKeeper } from "@/plan/keeper";
import { syncStore } from "@/plan/sync";
import { bringBack, remove } from "./actions";

const SHOWN_MS = 20_000;

export async function removePlan(keeper: PlanKeeper, model: Model, plan: SavedPlan, plans: readonly SavedPlan[]): Promise<void> {
  const removed = await remove(keeper, model, plan, plans);
  const id = `removed ${plan.id}`;
  const back = () => {
    notifications.hide(id);
    bringBack(keeper, model, removed).catch(tellProblem);
  };
  notifications.show({
    id,
    autoClose: SHOWN_MS,
    title: `${plan.name} is deleted`,
    message: (
      <Button size="compact-xs" variant="default" onClick={back} data-testid="bring-back">
        Undo
      </Button>
    ),
    "data-testid": "plan-removed",
  });
}

/** The open one. */
export async function removeOpen(keeper: PlanKeeper, model: Model, plans: readonly SavedPlan[]): Promise<void> {
  const open = plans.find(({ id }) => id === syncStore.getState().plan?.id);
  if (open) await removePlan(keeper, model, open, plans);
}
