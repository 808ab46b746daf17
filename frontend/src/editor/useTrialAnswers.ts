/** Asks the studio about the edit in the hand, at once, or where the hand rests; what is outdated is called off. */
import { useEffect, useState } from "react";
import type { Model, PlanReport } from "@/api/types";
import { deviceOf, placesOf, type Content } from "@/plan/content";
import { judgeReports } from "@/plan/judge";
import { Pace } from "@/plan/pace";
import { assessPlan, checkPlan } from "@/plan/useReport";
import { answerTrial, handStore, useHand, type Trial } from "./hand";

const devicesOf = ({ content, places }: Trial): string[] => places.flatMap((place) => placesOf(content, place)).map((place) => deviceOf(content, place));

/** `report` is the studio's on the plan as it is; null where it has not answered yet. */
export function useTrialAnswers(model: Model, content: Content, report: PlanReport | null): void {
  const tried = useHand(({ trial }) => trial?.content ?? null);
  const [pace] = useState(() => new Pace());
  useEffect(() => {
    if (tried === null) return;
    const abort = new AbortController();
    const ask = async () => {
      const before = report ?? (await checkPlan(model, content, abort.signal));
      const after = await assessPlan(model, tried, abort.signal);
      answerChecked(tried, before, after);
      if (after.prediction) answerTrial(tried, { prediction: after.prediction });
    };
    // A studio that does not answer leaves what the page knows; its silence is told elsewhere.
    const timer = setTimeout(() => void ask().catch(() => undefined), pace.wait(performance.now()));
    return () => {
      clearTimeout(timer);
      abort.abort();
    };
  }, [model, content, report, tried, pace]);
}

function answerChecked(tried: Content, before: PlanReport, after: PlanReport): void {
  const { trial } = handStore.getState();
  if (trial?.content !== tried) return;
  const told = judgeReports(before.problems, after.problems, devicesOf(trial));
  // What the page is sure of stays: a device that cannot run layers is no error of a plan that is not placed yet.
  const refused = told.refused ?? trial.verdict.refused;
  answerTrial(tried, { confirmed: true, verdict: { ...told, refused, warnings: [...new Set([...told.warnings, ...trial.verdict.warnings])] } });
}
