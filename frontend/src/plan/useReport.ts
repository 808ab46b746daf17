/** The studio's report on the plan: asked 100 ms after the last edit; the newest answer wins, the old one stays meanwhile. */
import { useEffect, useState } from "react";
import { asProblem, call, client, type Problem } from "@/api/client";
import type { Model, PlanReport } from "@/api/types";
import { planDocument } from "./keeper";
import type { Placement } from "./placement";

const ASK_AFTER_MS = 100;
const ASK_AGAIN_AFTER_MS = 3000;

export interface Report {
  report: PlanReport | null;
  /** Whether the report speaks of the present placement. */
  current: boolean;
  problem: Problem | null;
}

/** `fleet` changes whenever the devices do, because the report depends on them. */
export function useReport(model: Pick<Model, "id" | "name" | "digest">, placement: Placement, fleet: string): Report {
  const [answer, setAnswer] = useState<{ report: PlanReport | null; placement: Placement | null; fleet: string; problem: Problem | null }>({
    report: null,
    placement: null,
    fleet: "",
    problem: null,
  });
  const [attempt, setAttempt] = useState(0);
  const { id, name, digest } = model;
  useEffect(() => {
    const abort = new AbortController();
    let again: ReturnType<typeof setTimeout> | undefined;
    const timer = setTimeout(() => {
      call(
        client.POST("/api/models/{model_id}/plans/check", {
          params: { path: { model_id: id } },
          body: planDocument({ name, digest }, placement),
          signal: abort.signal,
        }),
      ).then(
        (report) => {
          if (!abort.signal.aborted) setAnswer({ report, placement, fleet, problem: null });
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
  }, [id, name, digest, placement, fleet, attempt]);
  return { report: answer.report, current: answer.placement === placement && answer.fleet === fleet, problem: answer.problem };
}
