/** The plan under the hand: the one store that undo and redo know. View and live figures live elsewhere. */
import { temporal } from "zundo";
import { useStore } from "zustand";
import { createStore } from "zustand/vanilla";
import { apply, assign, replaceBy, type PlanDelta } from "./delta";
import type { Placement } from "./placement";

interface PlanState {
  placement: Placement;
  /** Names the step that led here. */
  label: string;
}

export const HISTORY_LIMIT = 200;

export const planStore = createStore<PlanState>()(
  temporal((): PlanState => ({ placement: {}, label: "" }), {
    limit: HISTORY_LIMIT,
    equality: (a, b) => a.placement === b.placement,
  }),
);

export const usePlan = <T>(select: (state: PlanState) => T): T => useStore(planStore, select);
export const useHistory = () => useStore(planStore.temporal);

/** Do one step; returns how many layers moved. */
export function edit(delta: PlanDelta | null): number {
  if (!delta) return 0;
  planStore.setState({ placement: apply(planStore.getState().placement, delta), label: delta.label });
  return delta.changes.length;
}

export function assignLayers(layers: readonly string[], device: string | null): number {
  const where = device ?? "no device";
  const what = layers.length === 1 ? (layers[0] ?? "") : `${layers.length} layers`;
  return edit(assign(planStore.getState().placement, layers, device, `${what} → ${where}`));
}

export function replacePlacement(target: Placement, label: string): number {
  return edit(replaceBy(planStore.getState().placement, target, label));
}

/** Open another plan: nothing to undo yet. */
export function openPlacement(placement: Placement): void {
  planStore.setState({ placement, label: "" });
  planStore.temporal.getState().clear();
}

export const undo = (): void => planStore.temporal.getState().undo();
export const redo = (): void => planStore.temporal.getState().redo();
