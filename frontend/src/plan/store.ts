/** The plan under the hand: the one store that undo and redo know. View and live figures live elsewhere. */
import { temporal } from "zundo";
import { useStore } from "zustand";
import { createStore } from "zustand/vanilla";
import type { Sharding } from "@/api/types";
import { EMPTY, type Content } from "./content";
import { replicate } from "./replicas";
import { apply, assign, divide, layersTouched, replaceBy, takenAway, undivide, type PlanDelta } from "./delta";

interface PlanState {
  content: Content;
  /** Names the step that led here. */
  label: string;
}

export const HISTORY_LIMIT = 200;

export const planStore = createStore<PlanState>()(
  temporal((): PlanState => ({ content: EMPTY, label: "" }), {
    limit: HISTORY_LIMIT,
    equality: (a, b) => a.content === b.content,
  }),
);

export const usePlan = <T>(select: (content: Content) => T): T => useStore(planStore, ({ content }) => select(content));
export const useLabel = (): string => useStore(planStore, ({ label }) => label);
export const useHistory = () => useStore(planStore.temporal);

export interface Step {
  /** How many layers it moved, divided or made whole. */
  layers: number;
  takenAway: readonly Sharding[];
}

const NOTHING: Step = { layers: 0, takenAway: [] };

const content = (): Content => planStore.getState().content;

/** Do one step. */
export function edit(delta: PlanDelta | null): Step {
  if (!delta) return NOTHING;
  planStore.setState({ content: apply(content(), delta), label: delta.label });
  return { layers: layersTouched(delta), takenAway: takenAway(delta) };
}

const named = (layers: readonly string[]): string => (layers.length === 1 ? (layers[0] ?? "") : `${layers.length} layers`);

export function assignLayers(layers: readonly string[], device: string | null): Step {
  return edit(assign(content(), layers, device, `${named(layers)} → ${device ?? "no device"}`));
}

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

/** Open another plan: nothing to undo yet. */
export function openPlan(opened: Content): void {
  planStore.setState({ content: opened, label: "" });
  planStore.temporal.getState().clear();
}

/** Have several places share the frames of these layers. `devices` are the names of all there are. */
export function replicateLayers(layers: readonly string[], places: readonly string[], devices: readonly string[]): Step {
  return edit(replicate(content(), layers, places, devices, `${named(layers)} → replicas on ${places.join(", ")}`));
}

/** Change what the plan says besides where layers are. */
export function changeRest(change: Partial<Content["rest"]>, label: string): Step {
  return replacePlan({ ...content(), rest: { ...content().rest, ...change } }, label);
}

export const undo = (): void => planStore.temporal.getState().undo();
export const redo = (): void => planStore.temporal.getState().redo();
