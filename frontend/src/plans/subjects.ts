/** What can be laid side by side: saved plans, what runs now, and what any plan is compared with. Pure. */
import type { Deployment, Model, SavedPlan } from "@/api/types";
import { cutName, LONGEST_NAME } from "@/app/names";
import { contentOf, sameForm, type Content } from "@/plan/content";
import type { Baseline, Prediction } from "@/planner/types";
import { baselineKey, RUNNING, savedKey } from "./comparing";

export interface Subject {
  key: string;
  name: string;
  kind: "saved" | "running" | "baseline";
  content: Content;
  /** Names the content, with all that it says. */
  version: string;
  saved: SavedPlan | null;
  /** Where it is known without asking. */
  prediction: Prediction | null;
}

const BASELINE_NAMES: Record<string, string> = {
  "best single device": "Best device alone",
  "whole network on every device": "Every device, replicas",
};

export const baselineName = (name: string): string => BASELINE_NAMES[name] ?? name.charAt(0).toUpperCase() + name.slice(1);

/** The newest saved plan first, without the open one; plans of other forms of the network have other layers. */
export function subjectsOf(model: Model, open: number | null, saved: readonly SavedPlan[], running: Deployment | null, baselines: readonly Baseline[]): Subject[] {
  const plans = saved
    .filter((plan) => plan.id !== open && sameForm(plan.plan.network, model))
    .map((plan): Subject => ({ key: savedKey(plan.id), name: plan.name, kind: "saved", content: contentOf(plan.plan), version: `${savedKey(plan.id)} ${plan.revision}`, saved: plan, prediction: null }));
  const runs: Subject[] =
    running && sameForm(running.plan.network, model)
      ? [{ key: RUNNING, name: "What runs now", kind: "running", content: contentOf(running.plan), version: `running ${running.id}`, saved: null, prediction: null }]
      : [];
  const found = baselines.map(
    ({ name, plan, prediction }): Subject => ({ key: baselineKey(name), name: baselineName(name), kind: "baseline", content: contentOf(plan), version: baselineKey(name), saved: null, prediction }),
  );
  return [...runs, ...plans, ...found];
}

/** A name that no other plan has: "Plan", "Plan 2", ... */
export function freeName(base: string, taken: readonly string[]): string {
  const names = new Set(taken);
  for (let number = 1; ; number += 1) {
    const end = number === 1 ? "" : ` ${number}`;
    const name = `${cutName(base, LONGEST_NAME - end.length)}${end}`;
    if (!names.has(name)) return name;
  }
}

/** Room for " copy", and for the number of one. */
const COPY_ROOM = 10;

/** What a copy is called: "Plan copy", and of that "Plan copy 2". */
export const copyName = (name: string, taken: readonly string[]): string => freeName(`${cutName(name.replace(/ copy(?: \d+)?$/, ""), LONGEST_NAME - COPY_ROOM)} copy`, taken);

/** What stands first in a plan's notes. */
export const firstLine = (notes: string): string => notes.split("\n").find((line) => line.trim() !== "")?.trim() ?? "";
