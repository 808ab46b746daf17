/** The plan under the hand: the one store that undo and redo know. View and live figures live elsewhere. */
import { useStore } from "zustand";
import { createStore } from "zustand/vanilla";
import type { Sharding } from "@/api/types";
import { plural } from "@/app/format";
import { EMPTY, type Content } from "./content";
import { replicate } from "./replicas";
import { apply, assign, divide, layersTouched, replaceBy, takenAway, undivide, type PlanDelta } from "./delta";
import { weave } from "./elsewhere";
import { amend, NO_HISTORY, remember, travel, withoutFuture, type History } from "./history";

interface PlanState {
  content: Content;
  history: History;
  /** While a gesture goes on, all its edits are one step. */
  gesture: "none" | "begun" | "edited";
}

export const planStore = createStore<PlanState>()(() => ({ content: EMPTY, history: NO_HISTORY, gesture: "none" }));

export const usePlan = <T>(select: (content: Content) => T): T => useStore(planStore, ({ content }) => select(content));
export const useHistory = (): History => useStore(planStore, ({ history }) => history);

export interface Step {
  /** How many layers it moved, divided or made whole. */
  layers: number;
  takenAway: readonly Sharding[];
}

const NOTHING: Step = { layers: 0, takenAway: [] };

const content = (): Content => planStore.getState().content;

/** Do one step, or go on with the step of the gesture. `made` is what it makes of the plan, where that is at hand already. */
export function edit(delta: PlanDelta | null, made?: Content): Step {
  if (!delta) return NOTHING;
  planStore.setState(({ history, gesture }) => {
    const after = gesture === "edited" ? amend(history, delta) : remember(history, { delta, at: Date.now() });
    // A gesture that is back where it began has no step any more: the newest one is not its own.
    const even = gesture === "edited" && after.past.length < history.past.length;
    return { content: made ?? apply(content(), delta), history: after, gesture: gesture === "none" ? "none" : even ? "begun" : "edited" };
  });
  return { layers: layersTouched(delta), takenAway: takenAway(delta) };
}

/** Some layers in a label. */
export const named = (layers: readonly string[]): string => (layers.length === 1 ? (layers[0] ?? "") : plural(layers.length, "layer"));

/** The step that puts layers onto a device (null: takes them off), for a look before it is done. */
export function planAssignment(layers: readonly string[], device: string | null): PlanDelta | null {
  return assign(content(), layers, device, `${named(layers)} → ${device ?? "no device"}`);
}

export const assignLayers = (layers: readonly string[], device: string | null): Step => edit(planAssignment(layers, device));

/** The step that divides layers, for a look before it is done. */
export function planDivision(sharding: Sharding): PlanDelta | null {
  return divide(content(), sharding, `Split ${named(sharding.layers)}`);
}

export function removeSharding(place: number): Step {
  const layers = content().shards[place]?.layers ?? [];
  return edit(undivide(content(), place, `${named(layers)} whole again`));
}

export function replacePlan(target: Content, label: string): Step {
  return edit(replaceBy(content(), target, label));
}

/** Take over what another window did, as a step of the history that is not ours. Returns what changed. */
export function editElsewhere(target: Content): PlanDelta | null {
  const delta = replaceBy(content(), target, "");
  if (delta) planStore.setState(({ history }) => ({ content: apply(content(), delta), history: weave(history, delta, Date.now()) }));
  return delta;
}

/** Open another plan: nothing to undo yet. */
export function openPlan(opened: Content): void {
  planStore.setState({ content: opened, history: NO_HISTORY, gesture: "none" });
}

/** From now on all edits are one step, until the gesture ends: a stroke of the brush, a slider that is drawn. */
export const beginGesture = (): void => planStore.setState({ gesture: "begun" });

/** End the gesture; its step is called by its last edit, or as it is said here. */
export function endGesture(label?: string): void {
  planStore.setState(({ history, gesture }) => {
    const last = history.past.at(-1);
    if (gesture !== "edited" || label === undefined || !last) return { gesture: "none" };
    const named = { ...last, delta: { ...last.delta, label } };
    return { gesture: "none", history: { ...history, past: [...history.past.slice(0, -1), named] } };
  });
}

/** End the gesture and take back what it did: there was no step. */
export function cancelGesture(): void {
  const { gesture, history } = planStore.getState();
  planStore.setState({ gesture: "none" });
  if (gesture !== "edited") return;
  goTo(history.past.length - 1);
  planStore.setState(({ history: after }) => ({ history: withoutFuture(after) }));
}

/** Have several places share the frames of these layers. `devices` are the names of all there are. */
export function replicateLayers(layers: readonly string[], places: readonly string[], devices: readonly string[]): Step {
  return edit(replicate(content(), layers, places, devices, `${named(layers)} → replicas on ${places.join(", ")}`));
}

/** Change what the plan says besides where layers are. */
export function changeRest(change: Partial<Content["rest"]>, label: string): Step {
  return replacePlan({ ...content(), rest: { ...content().rest, ...change } }, label);
}

const NOTES = "Notes";
/** What is written within this time is one step. */
const NOTES_STEP_MS = 60_000;

/** Write the plan's notes: a step for each minute of writing, not for each letter. */
export function writeNotes(notes: string): void {
  const { history, gesture } = planStore.getState();
  const last = history.past.at(-1);
  const goesOn = gesture === "none" && history.future.length === 0 && last?.delta.label === NOTES && Date.now() - last.at < NOTES_STEP_MS;
  if (goesOn) planStore.setState({ gesture: "edited" });
  changeRest({ notes }, NOTES);
  if (goesOn) planStore.setState({ gesture: "none" });
}

/** Go to where so many steps of the history are done. */
export function goTo(done: number): void {
  planStore.setState(({ content: now, history }) => ({ ...travel(now, history, done), gesture: "none" }));
}

export const undo = (): void => goTo(planStore.getState().history.past.length - 1);
export const redo = (): void => goTo(planStore.getState().history.past.length + 1);
