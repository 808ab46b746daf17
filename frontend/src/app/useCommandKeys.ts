/** Does what keys stand for, wherever the focus is, unless it is where keys are typed. */
import { useEffect } from "react";
import { createStore } from "zustand/vanilla";
import { allCommands } from "./commands";
import { isFree, isPressed, isSingle, strokesOf } from "./keys";
import { typedAhead } from "./palette";

const KEY = "single-keys";

function kept(): boolean {
  try {
    return localStorage.getItem(KEY) !== "off";
  } catch {
    // A browser may refuse to keep anything.
    return true;
  }
}

/** Whether characters alone do something; who dictates, or presses keys by mistake, switches them off. */
export const singleKeys = createStore<{ on: boolean }>()(() => ({ on: kept() }));
singleKeys.subscribe(({ on }) => {
  try {
    localStorage.setItem(KEY, on ? "on" : "off");
  } catch {
    // It holds until the page is left.
  }
});

function pressed(event: KeyboardEvent): void {
  if (event.defaultPrevented || event.isComposing) return;
  const focus = event.target instanceof Element ? event.target : null;
  if (focus?.closest("[role=dialog]") == null && typedAhead(event)) {
    event.preventDefault();
    return;
  }
  // Marked text is copied by the browser.
  if (event.key.toLowerCase() === "c" && (event.ctrlKey || event.metaKey) && window.getSelection()?.isCollapsed === false) return;
  const meant = allCommands().filter(({ keys }) =>
    strokesOf(keys ?? "").some((stroke) => stroke.key !== "" && isPressed(stroke, event) && isFree(stroke, focus) && (singleKeys.getState().on || !isSingle(stroke))),
  );
  const able = meant.find(({ unable }) => unable == null);
  if (meant.length > 0) event.preventDefault();
  able?.run();
}

export function useCommandKeys(): void {
  useEffect(() => {
    window.addEventListener("keydown", pressed);
    return () => window.removeEventListener("keydown", pressed);
  }, []);
}
