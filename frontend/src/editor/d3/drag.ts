/** In place of `d3-drag` (see `vite.config.ts`): React Flow drags no card here, and its zoom asks only that a press selects no text. */
const prevent = (event: Event): void => {
  event.preventDefault();
  event.stopImmediatePropagation();
};
const OPTIONS = { capture: true, passive: false };

export function dragDisable(view: Window): void {
  view.addEventListener("dragstart", prevent, OPTIONS);
  view.addEventListener("selectstart", prevent, OPTIONS);
}

export function dragEnable(view: Window, noClick: boolean): void {
  view.removeEventListener("dragstart", prevent, OPTIONS);
  view.removeEventListener("selectstart", prevent, OPTIONS);
  if (!noClick) return;
  view.addEventListener("click", prevent, OPTIONS);
  setTimeout(() => view.removeEventListener("click", prevent, OPTIONS), 0);
}

export function drag(): never {
  throw new Error("cards are dragged by drag.ts");
}
