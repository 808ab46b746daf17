/** What this browser kept of edits, as far as it can be read. Few pages need it: it comes when there are any. */
import type { Model } from "@/api/types";
import { sameForm } from "./content";
import { readObject, readPlan } from "./document";
import { draftKeys, isOwn, type BrokenDraft, type Draft, type Kept } from "./drafts";

/** All drafts of a model in the form in which it is open, this window's first and then the newest; those of its other forms wait for them. */
export function readDrafts(model: Model, storage: Kept = window.localStorage): { drafts: Draft[]; broken: BrokenDraft[] } {
  const drafts: Draft[] = [];
  const broken: BrokenDraft[] = [];
  for (const key of draftKeys(model.id, storage)) {
    const text = storage.getItem(key) ?? "";
    const read = readDraft(key, text, model);
    if (read === null) continue;
    if (typeof read === "string") broken.push({ key, text, why: read });
    else drafts.push(read);
  }
  return { drafts: drafts.sort((a, b) => Number(isOwn(b.key)) - Number(isOwn(a.key)) || b.at - a.at), broken };
}

function readDraft(key: string, text: string, model: Model): Draft | string | null {
  let body: Record<string, unknown> | null;
  try {
    body = readObject(text);
  } catch {
    return "It is no JSON.";
  }
  const { planId = null, name, at, base, mine } = body ?? {};
  const isId = planId === null || (typeof planId === "number" && Number.isSafeInteger(planId) && planId > 0);
  if (!isId || typeof name !== "string" || typeof at !== "number") return "It does not say which plan it is of.";
  if (isOtherForm(mine, model)) return null;
  const [before, after] = [base, mine].map((plan) => readPlan(JSON.stringify(plan ?? null), model));
  if (!before || !after) return "It has no plan.";
  if ("problem" in before) return before.problem;
  if ("problem" in after) return after.problem;
  return { key, planId, name, at, base: before.content, mine: after.content };
}

function isOtherForm(plan: unknown, model: Model): boolean {
  const network = (plan as { network?: { simplified?: unknown; dims?: unknown } } | null)?.network;
  if (typeof network?.simplified !== "boolean" || typeof network.dims !== "object" || network.dims === null) return false;
  return !sameForm({ simplified: network.simplified, dims: network.dims as Record<string, number> }, model);
}
