/** Keeps the figures of the plan and of what is tried, old beside new: at once from what is known, then the studio's own. */
import { useEffect, useMemo } from "react";
import { useStore } from "zustand";
import { onMeasured } from "@/live/socket";
import type { Network } from "@/graph/network";
import { spokenChanges } from "@/plan/changes";
import type { Content } from "@/plan/content";
import { estimate } from "@/plan/estimate";
import { countedFigures, exactFigures, quickFigures, type Basis, type Figures } from "@/plan/figures";
import { useSteps } from "@/plan/steps";
import { planStore, useHistory } from "@/plan/store";
import type { Prediction } from "@/planner/types";
import type { Predicted } from "@/planner/usePrediction";
import { useCosts } from "@/profiles/costs";
import { useHand } from "./hand";
import { outcomeStore, type Outcome } from "./outcome";
import { viewStore } from "./view";

/** What the studio has predicted, as long as nothing is measured anew. */
let told = new WeakMap<Content, Prediction>();

/** What the last step is called. */
function useLabel(): string {
  const { past, future } = useHistory();
  const [last, undone] = [past.at(-1), future.at(-1)];
  return last?.delta.label ?? (undone ? `Undone: ${undone.delta.label}` : "");
}

/** What of `figures` is not known stands as it was last, to be shown dimmed. */
function withOld(figures: Figures | null, old: Figures | null, counted: Figures, unplaced: number): Figures {
  if (figures) return figures;
  if (!old || unplaced > 0) return counted;
  return { ...old, memoryBytes: counted.memoryBytes, cutBytes: counted.cutBytes, passing: counted.passing, exact: false };
}

export function useFigures(network: Network, content: Content, predicted: Predicted): void {
  const costs = useCosts();
  const trial = useHand((hand) => hand.trial);
  const gesture = useStore(planStore, (state) => state.gesture);
  const { before: previous, edit } = useSteps();
  const label = useLabel();
  const { prediction, of, current } = predicted;
  useEffect(() => onMeasured(() => (told = new WeakMap())), []);
  useEffect(() => {
    if (prediction && of) told.set(of, prediction);
  }, [prediction, of]);
  useEffect(() => {
    if (trial?.prediction) told.set(trial.content, trial.prediction);
  }, [trial]);

  const outcome = useMemo((): Outcome => {
    const basis: Basis | null = prediction && of ? { content: of, prediction } : null;
    const figuresOf = (plan: Content, old: Figures | null): Figures => {
      const known = plan === of ? prediction : told.get(plan);
      if (known) return exactFigures({ content: plan, prediction: known }, network);
      const counted = estimate(network, plan);
      return withOld(basis && quickFigures(network, plan, basis, costs), old, countedFigures(counted), counted.unplaced);
    };
    const before = previous ? figuresOf(previous, null) : null;
    const now = figuresOf(content, before);
    if (!trial) return { label, before, now, settled: current || now.exact || estimate(network, content).unplaced > 0, isTrial: false, edit };
    const then = trial.prediction ? exactFigures({ content: trial.content, prediction: trial.prediction }, network) : figuresOf(trial.content, now);
    return { label: trial.delta.label, before: now, now: then, settled: then.exact, isTrial: true, edit };
  }, [network, content, previous, edit, label, prediction, of, current, costs, trial]);

  useEffect(() => {
    outcomeStore.setState({ outcome });
  }, [outcome]);
  useEffect(() => () => outcomeStore.setState({ outcome: null }), []);

  const sentence = outcome.isTrial || outcome.edit === 0 || gesture !== "none" || !outcome.now.exact ? null : spokenChanges(outcome.before, outcome.now);
  useEffect(() => {
    if (sentence !== null) viewStore.setState({ announcement: `${outcome.label.replace(" → ", " to ")}: ${sentence}` });
  }, [sentence, outcome.edit, outcome.label]);
}
