/** The studio's report on the plan, with what it predicts: asked at once, or at the pause of many edits; the newest answer wins, the old one stays meanwhile. */
import { useEffect, useState } from "react";
import { asProblem, call, client, type Problem } from "@/api/client";
import type { Model, PlanReport } from "@/api/types";
import { onMeasured } from "@/live/socket";
import { Asking } from "./asking";
import { planDocument, type Content } from "./content";
import { Pace } from "./pace";
import { planStore } from "./store";
import { syncStore } from "./sync";

const ASK_AGAIN_AFTER_MS = 3000;

export interface Report {
  report: PlanReport | null;
  /** The plan that it speaks of. */
  of: Content | null;
  /** Whether the report speaks of the present plan. */
  current: boolean;
  problem: Problem | null;
}

function ask(model: Model, content: Content, predict: boolean, signal?: AbortSignal): Promise<PlanReport> {
  return call(
    client.POST("/api/models/{model_id}/plans/check", {
      params: { path: { model_id: model.id }, query: { predict } },
      body: planDocument(model, content),
      ...(signal ? { signal } : {}),
    }),
  );
}

/** Ask what the studio says of a plan. Throws a Problem. */
export const checkPlan = (model: Model, content: Content, signal?: AbortSignal) => ask(model, content, false, signal);

/** Ask what the studio says of a plan, and what it predicts of it where it is sound. Throws a Problem. */
export const assessPlan = (model: Model, content: Content, signal?: AbortSignal) => ask(model, content, true, signal);

/** `content` is that of the plan under the hand. `fleet` changes whenever the devices do, because the report depends on them; `opened`: the content is one of this model, not of what was open before. */
export function useReport(model: Model, content: Content, fleet: string, opened: boolean): Report {
  const [answer, setAnswer] = useState<{ report: PlanReport | null; content: Content | null; fleet: string; problem: Problem | null }>({
    report: null,
    content: null,
    fleet: "",
    problem: null,
  });
  const [measured, setMeasured] = useState(0);
  useEffect(() => onMeasured(() => setMeasured((count) => count + 1)), []);
  const [pace] = useState(() => new Pace());
  useEffect(() => {
    if (!opened) return;
    const asking = new Asking<Content>(pace, (content, signal) => {
      assessPlan(model, content, signal).then(
        (report) => {
          if (!signal.aborted) setAnswer({ report, content, fleet, problem: null });
        },
        (error: unknown) => {
          if (signal.aborted) return;
          setAnswer((old) => ({ ...old, problem: asProblem(error) }));
          asking.in(ASK_AGAIN_AFTER_MS, content);
        },
      );
    });
    asking.about(planStore.getState().content);
    const stop = planStore.subscribe(({ content }, before) => {
      // While another plan is opened, the content may be another network's.
      if (content !== before.content && syncStore.getState().state !== "loading") asking.about(content);
    });
    return () => {
      stop();
      asking.end();
    };
  }, [model, fleet, opened, measured, pace]);
  return { report: answer.report, of: answer.content, current: opened && answer.content === content && answer.fleet === fleet, problem: answer.problem };
}
