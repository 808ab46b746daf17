/** Changing between the graph and the table, and where the focus goes with it. */
import { cameraMan } from "./camera";
import { cursorNode } from "./atCursor";
import { viewStore } from "./view";

/** What shows the layers now, to be focused: the graph or the table. */
export const focusLayers = (): void => document.querySelector<HTMLElement>("[data-layers]:not([hidden])")?.focus({ preventScroll: true });

export function showAs(mode: "graph" | "table"): void {
  if (viewStore.getState().mode === mode) return;
  viewStore.setState({ mode, announcement: mode === "graph" ? "Graph" : "Table of the layers" });
  // Once the other one is there.
  requestAnimationFrame(() => {
    const node = cursorNode();
    if (mode === "graph" && node !== null) cameraMan.reveal(node);
    if (mode === "graph") focusLayers();
  });
}

export const toggleMode = (): void => showAs(viewStore.getState().mode === "graph" ? "table" : "graph");
