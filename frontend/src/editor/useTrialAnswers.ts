/** Asks the studio about the edit in the hand, at once, or where the hand rests; what is outdated is called off. */
import { useEffect, useState } from "react";
import type { Model, PlanReport } from "@/api/types";
import { Asking } from "@/plan/asking";
import { deviceOf, placesOf, type Content } from "@/plan/content";
import { judgeReports } from "@/plan/judge";
import { Pace } from "@/plan/pace";
import { assessPlan, checkPlan } from "@/plan/useReport";
import { answerTrial, handStore, type Trial } from "./hand";

const devicesOf = ({ content, places }: Trial): string[] => places.flatMap((place) => placesOf(content, place)).map((place) => deviceOf(content, place));

/** `report` is the studio's on the plan as it is; null where it has not answered yet. */
export function useTrialAnswers(model: Model, content: Content, report: PlanReport | null): void {
  const [pace] = useState(() => new Pace());
  useEffect(() => {
    const asking = new Asking<Content>(pace, (tried, signal) => {
      const ask = async () => {
        const before = report ?? (await checkPlan(model, content, signal));
        const after = await assessPlan(model, tried, signal);
        answerChecked(tried, before, after);
        if (after.prediction) answerTrial(tried, { prediction: after.prediction });
      };
      // A studio that does not answer leaves what the page knows; its silence is told elsewhere.
      ask().catch(() => undefined);
    });
    const follow = (trial: Trial | null) => (trial ? asking.about(trial.content) : asking.end());
    const { trial } = handStore.getState();
    if (trial) follow(trial);
    const stop = handStore.subscribe(({ trial }, { trial: before }) => {
      if (trial?.content !== before?.content) follow(trial);
    });
    return () => {
      stop();
      asking.end();
    };
  }, [model, content, report, pace]);
}

function answerChecked(tried: Content, before: PlanReport, after: PlanReport): void {
  const { trial } = handStore.getState();
  if (trial?.content !== tried) return;
  const told = judgeReports(before.problems, after.problems, devicesOf(trial));
  // What the page is sure of stays: a device that cannot run layers is no error of a plan that is not placed yet.
  const refused = told.refused ?? trial.verdict.refused;
  answerTrial(tried, { confirmed: true, verdict: { ...told, refused, warnings: [...new Set([...told.warnings, ...trial.verdict.warnings])] } });
}
