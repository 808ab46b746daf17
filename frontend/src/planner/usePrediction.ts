/** What the studio predicts of the plan, as it came with the report on it; the newest answer wins, the old one stays meanwhile. */
import { useEffect, useState } from "react";
import { asProblem, call, client, Problem } from "@/api/client";
import type { Model, PlanReport } from "@/api/types";
import { planDocument, type Content } from "@/plan/content";
import type { Report } from "@/plan/useReport";
import type { PlanPrediction, Prediction } from "./types";

/** The first frames and the best next change take longer: they wait until the hand rests. */
const ASK_MORE_AFTER_MS = 500;
const GANTT_FRAMES = 8;

export interface Predicted {
  prediction: Prediction | null;
  /** The plan that it speaks of. */
  of: Content | null;
  /** What was predicted before the last edit. */
  before: Prediction | null;
  /** The first frames and the next change, for the same plan as `prediction`; null until they are known. */
  more: Pick<PlanPrediction, "gantt" | "next_move"> | null;
  /** Whether it speaks of the present plan. */
  current: boolean;
  problem: Problem | null;
}

interface Known {
  prediction: Prediction | null;
  of: Content | null;
  before: Prediction | null;
  more: Predicted["more"];
  content: Content | null;
  problem: Problem | null;
}

const NOTHING: Known = { prediction: null, of: null, before: null, more: null, content: null, problem: null };

/** Ask what is predicted of a plan. Throws a Problem. */
export function askPrediction(model: Model, content: Content, more: boolean, signal?: AbortSignal): Promise<PlanPrediction> {
  return call(
    client.POST("/api/models/{model_id}/predictions", {
      params: { path: { model_id: model.id } },
      body: { plan: planDocument(model, content), gantt: more ? GANTT_FRAMES : 0, next_move: more },
      ...(signal ? { signal } : {}),
    }),
  );
}

/** The knowledge after an answer about `content`. */
export function known(old: Known, content: Content, answer: PlanPrediction, more: boolean): Known {
  const edited = old.content !== content;
  return {
    prediction: answer.prediction,
    of: content,
    before: edited ? old.prediction : old.before,
    more: more ? answer : edited ? null : old.more,
    content,
    problem: null,
  };
}

/** `told`: the studio's report on the plan, with its prediction; `sound`: it speaks of the present plan, and nothing in it keeps that from being predicted; `wantMore`: also frames and the next change. */
export function usePrediction(model: Model, content: Content, told: Report, sound: boolean, wantMore: boolean): Predicted {
  const [state, setState] = useState<Known>(NOTHING);
  const [seen, setSeen] = useState<PlanReport | null>(null);
  const { report, of } = told;
  if (report !== seen && sound && report && of) {
    setSeen(report);
    const { prediction, unpredicted } = report;
    if (prediction) setState(known(state, of, { prediction, gantt: null, next_move: null }, false));
    else if (unpredicted) setState({ ...state, content: of, problem: new Problem(unpredicted, 422) });
  }
  useEffect(() => {
    if (!sound || !wantMore) return;
    const abort = new AbortController();
    const ask = () =>
      askPrediction(model, content, true, abort.signal).then(
        (answer) => {
          if (!abort.signal.aborted) setState((old) => known(old, content, answer, true));
        },
        (error: unknown) => {
          if (!abort.signal.aborted) setState((old) => ({ ...old, content, problem: asProblem(error) }));
        },
      );
    const timer = setTimeout(() => void ask(), ASK_MORE_AFTER_MS);
    return () => {
      clearTimeout(timer);
      abort.abort();
    };
  }, [model, content, report, sound, wantMore]);
  const current = sound && state.content === content;
  return { prediction: state.prediction, of: state.of, before: state.before, more: state.more, current, problem: current ? state.problem : null };
}
