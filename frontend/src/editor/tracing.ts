/** Which card's edges are traced, because the pointer is on it; and whether the view is near enough for small print on edges. */
import { useStore } from "zustand";
import { createStore } from "zustand/vanilla";
import type { ShownEdge } from "@/graph/layout";
import { cameraMan } from "./camera";

/** From this zoom on edges tell their shapes. */
const CLOSE_ZOOM = 1.15;

const traceStore = createStore<{ node: number | null; close: boolean }>()(() => ({ node: null, close: false }));

cameraMan.watch(({ zoom }) => {
  const close = zoom >= CLOSE_ZOOM;
  if (traceStore.getState().close !== close) traceStore.setState({ close });
});

/** Trace the edges of the card that shows a node. */
export const trace = (node: number): void => traceStore.setState({ node });

export const endTrace = (node: number): void => traceStore.setState((state) => (state.node === node ? { node: null } : state));

/** The pointer is on no card. One that goes while the pointer is on it, as a block that is opened, does not say so itself. */
export const endTraces = (): void => {
  if (traceStore.getState().node !== null) traceStore.setState({ node: null });
};

/** Whether an edge is one of the traced card's; `itemOf` tells the card of a node. */
export const useTraced = (edge: Pick<ShownEdge, "from" | "to">, itemOf: readonly number[]): boolean =>
  useStore(traceStore, ({ node }) => {
    const item = node === null ? undefined : itemOf[node];
    return item !== undefined && (item === edge.from || item === edge.to);
  });

export const useClose = (): boolean => useStore(traceStore, ({ close }) => close);
