/** What is in the hand: the tool, the brush, and an edit that is looked at before it is done. Not part of the plan. */
import { useStore } from "zustand";
import { createStore } from "zustand/vanilla";
import type { Network } from "@/graph/network";
import type { Content } from "@/plan/content";
import { apply, replaceBy, type PlanDelta } from "@/plan/delta";
import { FINE, judge, type Board, type Verdict } from "@/plan/judge";
import { merge } from "@/plan/merge";
import { endPreview, showPreview } from "@/plan/preview";
import { edit, planAssignment, planStore, type Step } from "@/plan/store";
import type { Prediction } from "@/planner/types";

/** An edit that would be done if the hand let go now. */
export interface Trial {
  delta: PlanDelta;
  /** The plan that is edited. */
  base: Content;
  /** The plan as it would be. */
  content: Content;
  /** Where the edit puts layers, as the plan names places. */
  places: readonly string[];
  verdict: Verdict;
  /** Whether the studio has said so, too. */
  confirmed: boolean;
  /** The studio's, when it has answered. */
  prediction: Prediction | null;
}

export type Tool = "pointer" | "box";

interface HandState {
  tool: Tool;
  /** The place that the brush paints, as the plan names it ("": no device); null: there is no brush. */
  brush: string | null;
  /** Whether the next number says which device the brush paints. */
  choosing: boolean;
  trial: Trial | null;
  /** What is dragged, in words ("": a marker between devices, which says it itself); null while nothing is. */
  dragged: string | null;
}

const FIRST: HandState = { tool: "pointer", brush: null, choosing: false, trial: null, dragged: null };

export const handStore = createStore<HandState>()(() => FIRST);
export const useHand = <T>(select: (state: HandState) => T): T => useStore(handStore, select);

export function resetHand(): void {
  endTrial();
  handStore.setState(FIRST);
}

interface Setting {
  network: Network;
  boards: ReadonlyMap<string, Board>;
}

/** What edits are judged by; null until an editor is open. */
let setting: Setting | null = null;

export function setSetting(next: Setting | null): void {
  setting = next;
}

/** Whether a plan can be so, as far as the page knows: where the edit puts layers is asked about. */
export const judged = (after: Content, places: readonly string[]): Verdict => (setting ? judge(setting.network, after, places, setting.boards) : FINE);

/** Look at an edit before it is done: the canvas shows it, and the studio is asked. Null: it would change nothing. */
export function tryOut(delta: PlanDelta | null, places: readonly string[]): Trial | null {
  if (!delta) {
    endTrial();
    return null;
  }
  const base = planStore.getState().content;
  const content = apply(base, delta);
  const verdict = judged(content, places);
  const trial: Trial = { delta, base, content, places, verdict, confirmed: false, prediction: null };
  if (verdict.refused === null) showPreview(content, "");
  else endPreview();
  handStore.setState({ trial });
  return trial;
}

export const tryAssigning = (layers: readonly string[], place: string): Trial | null => tryOut(planAssignment(layers, place === "" ? null : place), [place]);

/** Take in what the studio says of an edit that is still looked at. */
export function answerTrial(content: Content, answer: Partial<Pick<Trial, "verdict" | "confirmed" | "prediction">>): void {
  const { trial } = handStore.getState();
  if (trial?.content !== content) return;
  const next = { ...trial, ...answer };
  handStore.setState({ trial: next });
  if (next.verdict.refused === null) showPreview(content, "");
  else endPreview();
}

export function endTrial(): void {
  if (handStore.getState().trial === null) return;
  handStore.setState({ trial: null });
  endPreview();
}

export type Done = Step | { refused: string };

/** Do what was looked at, or say why not. */
export function commit(trial: Trial): Done {
  endTrial();
  if (trial.verdict.refused !== null) return { refused: trial.verdict.refused };
  const { content: now } = planStore.getState();
  return now === trial.base ? edit(trial.delta, trial.content) : commitOver(trial, now);
}

/** Another window edited the plan while this was in the hand: it goes on top of that. */
function commitOver({ delta: { kind, label }, base, content, places }: Trial, now: Content): Done {
  const both = merge(base, content, now).content;
  const { refused } = judged(both, places);
  if (refused !== null) return { refused };
  const delta = replaceBy(now, both, label);
  return edit(delta && { ...delta, kind }, both);
}

/** Whether layers can be put onto a place, as far as the page knows. */
export function judgedAssigning(layers: readonly string[], place: string): Verdict {
  const delta = planAssignment(layers, place);
  return delta ? judged(apply(planStore.getState().content, delta), [place]) : FINE;
}

/** Put layers onto a place at once, unless that cannot be. */
export function assignJudged(layers: readonly string[], place: string): Done {
  const { trial } = handStore.getState();
  const delta = planAssignment(layers, place === "" ? null : place);
  if (!delta) return { layers: 0, takenAway: [] };
  const content = apply(planStore.getState().content, delta);
  const known = trial && trial.places.length === 1 && trial.places[0] === place && trial.delta.label === delta.label ? trial.verdict : null;
  const verdict = known ?? judged(content, [place]);
  endTrial();
  return verdict.refused === null ? edit(delta, content) : { refused: verdict.refused };
}

/** Take up a brush, or put it down with null. */
export function takeBrush(place: string | null): void {
  handStore.setState({ brush: place, choosing: false, tool: "pointer" });
}

/** B begins: the next number says with which device. */
export const chooseBrush = (): void => handStore.setState({ choosing: true, tool: "pointer" });

export const setTool = (tool: Tool): void => handStore.setState({ tool, brush: null, choosing: false });

/** Whether a press on the canvas belongs to a tool, and does not move the view or drag a layer. */
export const holdsTool = (): boolean => {
  const { tool, brush } = handStore.getState();
  return brush !== null || tool === "box";
};
