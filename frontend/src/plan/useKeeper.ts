/** The keeper of the open plan, and the address that says which it is. */
import { createContext, useContext, useEffect, useState } from "react";
import type { Model } from "@/api/types";
import { tellProblem } from "@/app/notify";
import { editorPath, navigate } from "@/app/router";
import { onPlansChanged } from "@/live/socket";
import { resetPlanner } from "@/planner/store";
import { PlanKeeper } from "./keeper";
import { syncStore } from "./sync";

export const KeeperContext = createContext<PlanKeeper | null>(null);

export function useKeeper(): PlanKeeper {
  const keeper = useContext(KeeperContext);
  if (!keeper) throw new Error("outside the editor");
  return keeper;
}

/** Open a plan of a model (null: its newest), and keep it saved. The address follows the open plan, and the plan the address. */
export function useOpenPlan(model: Model, planId: number | null): PlanKeeper {
  const [keeper] = useState(() => new PlanKeeper(model, planId));
  useEffect(() => {
    resetPlanner(`${model.id} ${model.simplified}`);
    const follow = syncStore.subscribe(({ plan, otherForm }, before) => {
      const stayed = before.otherForm !== null && otherForm === null;
      if (plan === null || (plan.id === before.plan?.id && !stayed)) return;
      const path = editorPath(model.id, plan.id);
      // Neither the first plan of a visit nor one that was not opened is a step that "back" should lead to.
      if (path !== window.location.pathname) navigate(path, before.plan === null || stayed);
    });
    keeper.open();
    const off = onPlansChanged((id) => {
      if (id === model.id || id === "*") void keeper.heard();
    });
    // What the studio does not have when the page goes away is kept in this browser; where it keeps nothing, the person is asked.
    const leave = () => void keeper.leave();
    const hide = () => document.visibilityState === "hidden" && keeper.leave();
    const ask = (event: BeforeUnloadEvent) => {
      if (!keeper.leave()) event.preventDefault();
    };
    window.addEventListener("pagehide", leave);
    window.addEventListener("beforeunload", ask);
    document.addEventListener("visibilitychange", hide);
    return () => {
      window.removeEventListener("pagehide", leave);
      window.removeEventListener("beforeunload", ask);
      document.removeEventListener("visibilitychange", hide);
      off();
      follow();
      keeper.close();
    };
  }, [keeper, model.id, model.simplified]);
  useEffect(() => {
    const { plan, state } = syncStore.getState();
    if (plan === null || state === "loading" || plan.id === planId) return;
    if (planId === null) navigate(editorPath(model.id, plan.id), true);
    else {
      keeper.switchTo(planId).catch((error: unknown) => {
        tellProblem(error);
        const open = syncStore.getState().plan;
        // The plan that is open stays, and the address says so.
        if (open && window.location.pathname === editorPath(model.id, planId)) navigate(editorPath(model.id, open.id), true);
      });
    }
  }, [keeper, model.id, planId]);
  return keeper;
}
