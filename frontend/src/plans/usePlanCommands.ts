/** What can be done with the open plan and its neighbours, by name. */
import { useCallback, useMemo } from "react";
import { useCommands, type Command } from "@/app/commands";
import { useFinder } from "@/app/finders";
import { insist } from "@/app/insist";
import { matching } from "@/app/matching";
import { queryClient } from "@/api/queries";
import type { Model } from "@/api/types";
import { sameForm } from "@/plan/content";
import { planStore } from "@/plan/store";
import { syncStore } from "@/plan/sync";
import { useKeeper } from "@/plan/useKeeper";
import { tellProblem } from "@/app/notify";
import { compareWith, RUNNING, savedKey } from "./comparing";
import { plansQuery } from "./queries";
import { openPlans, setNaming } from "./switcherStore";

const actions = () => insist(() => import("./actions"));
const removing = () => insist(() => import("./removing"));

export function usePlanCommands(model: Model, runs: boolean): void {
  const keeper = useKeeper();
  useFinder(
    useCallback(
      (text) => {
        const plans = queryClient.getQueryData(plansQuery(model.id).queryKey) ?? [];
        return matching(plans.map(({ id, name }): Command => ({ id: `go.plan.${id}`, group: "Go to", title: `Plan ${name}`, words: "open switch", unable: id === syncStore.getState().plan?.id ? "It is open" : null, run: () => void keeper.switchTo(id).catch(tellProblem) })), text);
      },
      [keeper, model.id],
    ),
  );
  useCommands(
    useMemo((): Command[] => {
      const all = () => queryClient.fetchQuery(plansQuery(model.id));
      const names = async () => (await all()).map(({ name }) => name);
      const say = (work: Promise<unknown>) => void work.catch(tellProblem);
      return [
        { id: "plan.list", group: "Plan", title: "Switch to another plan…", words: "open plans versions", run: () => openPlans() },
        { id: "plan.new", group: "Plan", title: "New plan", words: "empty create", run: () => say(Promise.all([names(), actions()]).then(([taken, { newPlan }]) => newPlan(keeper, taken))) },
        { id: "plan.duplicate", group: "Plan", title: "Duplicate the plan", words: "copy save as", run: () => say(Promise.all([names(), actions()]).then(([taken, { duplicate }]) => duplicate(keeper, planStore.getState().content, syncStore.getState().plan?.name ?? "Plan", taken))) },
        { id: "plan.rename", group: "Plan", title: "Name the plan anew", words: "rename", run: () => setNaming(true) },
        { id: "plan.notes", group: "Plan", title: "Write notes on the plan", words: "comment description", run: () => openPlans("notes") },
        { id: "plan.delete", group: "Plan", title: "Delete the plan", words: "remove", run: () => say(Promise.all([all(), removing()]).then(([plans, { removeOpen }]) => removeOpen(keeper, model, plans))) },
        {
          id: "plan.compare",
          group: "Plan",
          title: "Compare plans side by side",
          words: "diff difference versus baseline",
          run: () =>
            say(
              all().then((plans) => {
                const other = plans.find(({ id, plan }) => id !== syncStore.getState().plan?.id && sameForm(plan.network, model));
                compareWith(other ? [savedKey(other.id)] : []);
              }),
            ),
        },
        { id: "plan.compare-running", group: "Plan", title: "Compare with what runs now", words: "diff deployed", unable: runs ? null : "Nothing runs now.", run: () => compareWith([RUNNING]) },
      ];
    }, [keeper, model, runs]),
  );
}
