/** A plan as a file, as every other tool of ours reads it. */
import { download, fileName } from "@/app/download";
import { planDocument, type Content, type PlannedModel } from "./content";

/** `name` is the plan's. */
export function exportPlan(model: PlannedModel, content: Content, name: string): void {
  const document = planDocument(model, { ...content, rest: { ...content.rest, name } });
  download(`${fileName(`${model.name} ${name}`, "plan")}.plan.json`, `${JSON.stringify(document, null, 2)}\n`);
}
