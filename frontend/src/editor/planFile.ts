/** The plan as a file, and the plan emptied. */
import type { Model } from "@/api/types";
import { plural } from "@/app/format";
import { insist } from "@/app/insist";
import { EMPTY } from "@/plan/content";
import { planStore, replacePlan } from "@/plan/store";
import { openPlanStays, syncStore } from "@/plan/sync";
import { flash } from "./view";

export async function openPlanFile(file: File, model: Model): Promise<void> {
  const { readFile } = await insist(() => import("@/plans/importing"));
  const isOpen = openPlanStays();
  const content = await readFile(file, model);
  if (content && isOpen()) flash("", `${plural(replacePlan(content, `Import ${file.name}`).layers, "layer")} changed`);
}

export const savePlanFile = (model: Model): void => void insist(() => import("@/plan/exportPlan")).then(({ exportPlan }) => exportPlan(model, planStore.getState().content, syncStore.getState().plan?.name ?? "Plan"));
export const clearPlan = (): void => void replacePlan({ ...EMPTY, rest: planStore.getState().content.rest }, "Clear the plan");
