/** What the studio predicts of the plan: asked shortly after the last edit; the newest answer wins, the old one stays meanwhile. */
import { useEffect, useState } from "react";
import { asProblem, call, client, type Problem } from "@/api/client";
import type { Model } from "@/api/types";
import { onMeasured } from "@/live/socket";
import { planDocument, type Content } from "@/plan/content";
import type { PlanPrediction, Prediction } from "./types";

/** The studio has just checked the plan, which waited for the hand already. */
const ASK_AFTER_MS = 20;
/** The first frames and the best next change take longer: they wait until the hand rests. */
const ASK_MORE_AFTER_MS = 500;
export const GANTT_FRAMES = 8;

export interface Predicted {
  prediction: Prediction | null;
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
  before: Prediction | null;
  more: Predicted["more"];
  content: Content | null;
  problem: Problem | null;
}

const NOTHING: Known = { prediction: null, before: null, more: null, content: null, problem: null };

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
    before: edited ? old.prediction : old.before,
    more: more ? answer : edited ? null : old.more,
    content,
    problem: null,
  };
}

/** `fleet` changes whenever the devices do; `sound`: the studio found nothing that speaks against asking; `wantMore`: also frames and the next change. */
export function usePrediction(model: Model, content: Content, fleet: string, sound: boolean, wantMore: boolean): Predicted {
  const [state, setState] = useState<Known>(NOTHING);
  const [measured, setMeasured] = useState(0);
  useEffect(() => onMeasured(() => setMeasured((count) => count + 1)), []);
  useEffect(() => {
    if (!sound) return;
    const abort = new AbortController();
    let timer: ReturnType<typeof setTimeout>;
    const ask = (more: boolean) =>
      askPrediction(model, content, more, abort.signal).then(
        (answer) => {
          if (abort.signal.aborted) return;
          setState((old) => known(old, content, answer, more));
          if (wantMore && !more) timer = setTimeout(() => void ask(true), ASK_MORE_AFTER_MS);
        },
        (error: unknown) => {
          if (!abort.signal.aborted) setState((old) => ({ ...old, content, problem: asProblem(error) }));
        },
      );
    timer = setTimeout(() => void ask(false), ASK_AFTER_MS);
    return () => {
      clearTimeout(timer);
      abort.abort();
    };
  }, [model, content, fleet, sound, wantMore, measured]);
  const current = sound && state.content === content;
  return { prediction: state.prediction, before: state.before, more: state.more, current, problem: current ? state.problem : null };
}
