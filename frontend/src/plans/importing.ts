/** Reading a plan from a file. What is wrong with it is told; the plan under the hand stays as it is. */
import { asProblem } from "@/api/client";
import type { Model } from "@/api/types";
import { tell } from "@/app/notify";
import type { Content } from "@/plan/content";
import { readPlan } from "@/plan/document";
import { checkPlan } from "@/plan/useReport";
import { askWhetherFits } from "./fitStore";

/** Null: it cannot be read, or is not wanted. Of a plan that was made for another version of the network, what fits. */
export async function readFile(file: File, model: Model): Promise<Content | null> {
  const reading = readPlan(await file.text(), model);
  if ("problem" in reading && !reading.fit) {
    tell(`${file.name}: ${reading.problem}`, reading.nextStep);
    return null;
  }
  const content = "content" in reading ? reading.content : reading.fit?.content;
  if (!content) return null;
  try {
    // A document that the studio does not take at all is refused here; what else is wrong is listed beside the canvas.
    await checkPlan(model, content);
  } catch (error) {
    const { message, nextStep } = asProblem(error);
    tell(`${file.name}: ${message}`, nextStep);
    return null;
  }
  if ("problem" in reading && reading.fit && !(await askWhetherFits({ file: file.name, why: reading.problem, fit: reading.fit }))) return null;
  return content;
}
