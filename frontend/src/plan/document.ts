/** Reading a plan document from a file. */
import type { Model } from "@/api/types";
import type { Placement } from "./placement";

export type PlanReading = { placement: Placement } | { problem: string; nextStep: string };

const record = (value: unknown): Record<string, unknown> | null =>
  typeof value === "object" && value !== null && !Array.isArray(value) ? (value as Record<string, unknown>) : null;

/** Check what the page itself must know; the studio's report names every wrong device. */
export function readPlan(text: string, model: Pick<Model, "digest" | "name" | "layers">): PlanReading {
  let body: Record<string, unknown> | null;
  try {
    body = record(JSON.parse(text));
  } catch {
    return { problem: "This is no JSON.", nextStep: "Choose a plan document, as Export makes it." };
  }
  const placement = record(body?.["placement"]);
  if (body?.["version"] !== 1 || !placement) return { problem: "This is no plan document of version 1.", nextStep: "Choose a plan document, as Export makes it." };
  const network = record(body["network"]);
  if (network?.["sha256"] !== model.digest) {
    return { problem: `This plan is for another network (${String(network?.["name"] ?? "without a name")}).`, nextStep: `Choose a plan that was made for ${model.name}.` };
  }
  const known = new Set(model.layers.map(({ name }) => name));
  for (const [layer, device] of Object.entries(placement)) {
    if (!known.has(layer)) return { problem: `The network has no layer ${layer}.`, nextStep: "Correct the name of the layer in the file." };
    if (typeof device !== "string") return { problem: `The device of ${layer} is not a name.`, nextStep: "Correct the file." };
  }
  return { placement: placement as Record<string, string> };
}
