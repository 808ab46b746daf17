/** The studio's report on the plan: asked 100 ms after the last edit; the newest answer wins, the old one stays meanwhile. */
import { useEffect, useState } from "react";
import { asProblem, call, client, type Problem } from "@/api/client";
import type { Model, PlanReport } from "@/api/types";
import { planDocument, type Content } from "./content";

const ASK_AFTER_MS = 100;
const ASK_AGAIN_AFTER_MS = 3000;

export interface Report {
  report: PlanReport | null;
  /** Whether the report speaks of the present plan. */
  current: boolean;
  problem: Problem | null;
}

/** Ask what the studio says of a plan. Throws a Problem. */
export function checkPlan(model: Model, content: Content, signal?: AbortSignal): Promise<PlanReport> {
  return call(
    client.POST("/api/models/{model_id}/plans/check", {
      params: { path: { model_id: model.id } },
      body: planDocument(model, content),
      ...(signal ? { signal } : {}),
    }),
  );
}

/** `fleet` changes whenever the devices do, because the report depends on them. */
export function useReport(model: Model, content: Content, fleet: string): Report {
  const [answer, setAnswer] = useState<{ report: PlanReport | null; content: Content | null; fleet: string; problem: Problem | null }>({
    report: null,
    content: null,
    fleet: "",
    problem: null,
  });
  const [attempt, setAttempt] = useState(0);
  useEffect(() => {
    const abort = new AbortController();
    let again: ReturnType<typeof setTimeout> | undefined;
    const timer = setTimeout(() => {
      checkPlan(model, content, abort.signal).then(
        (report) => {
          if (!abort.signal.aborted) setAnswer({ report, content, fleet, problem: null });
        },
        (error: unknown) => {
          if (abort.signal.aborted) return;
          setAnswer((old) => ({ ...old, problem: asProblem(error) }));
          again = setTimeout(() => setAttempt((count) => count + 1), ASK_AGAIN_AFTER_MS);
        },
      );
    }, ASK_AFTER_MS);
    return () => {
      clearTimeout(timer);
      clearTimeout(again);
      abort.abort();
    };
  }, [model, content, fleet, attempt]);
  return { report: answer.report, current: answer.content === content && answer.fleet === fleet, problem: answer.problem };
}
