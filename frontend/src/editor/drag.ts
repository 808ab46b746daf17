/** Dragging layers onto a device: pointer events, a threshold, a ghost that says what a drop would do, Escape cancels. */
import { assignLayers } from "@/plan/store";
import { plural } from "@/app/format";
import { mention } from "@/app/notify";
import { describeTakenAway } from "@/plan/words";
import { flash, viewStore } from "./view";

const THRESHOLD_PX = 5;
const SCROLL_EDGE_PX = 40;

interface Drag {
  layers: () => string[];
  startX: number;
  startY: number;
  ghost: HTMLElement | null;
}

function targetAt(x: number, y: number): string | null {
  for (const element of document.elementsFromPoint(x, y)) {
    const lane = element.closest<HTMLElement>("[data-drop-device]");
    if (lane) return lane.dataset["dropDevice"] ?? null;
  }
  return null;
}

function makeGhost(): HTMLElement {
  const ghost = document.createElement("div");
  ghost.className = "drag-ghost";
  ghost.setAttribute("role", "status");
  document.body.append(ghost);
  return ghost;
}

function scrollNearEdge(y: number): void {
  const lanes = document.querySelector<HTMLElement>(".lanes-list");
  if (!lanes) return;
  const box = lanes.getBoundingClientRect();
  if (y < box.top + SCROLL_EDGE_PX) lanes.scrollBy(0, -12);
  else if (y > box.bottom - SCROLL_EDGE_PX) lanes.scrollBy(0, 12);
}

/** Put layers onto a device ("" for none) and say so there; divided layers become whole, which is said too. */
export function assignAndSay(layers: readonly string[], device: string): void {
  const target = device === "" ? null : device;
  const { layers: moved, takenAway } = assignLayers(layers, target);
  const where = target ?? "no device";
  flash(device, moved === 0 ? `already on ${where}` : `${plural(moved, "layer")} → ${where}`);
  if (takenAway.length > 0) mention("No longer divided", describeTakenAway(takenAway, target));
}

/** Begin a possible drag at a pointer press. `layers` is asked when it has become one; `onClick` is called when it has not. */
export function beginDrag(press: PointerEvent, layers: () => string[], onClick: () => void): void {
  const drag: Drag = { layers, startX: press.clientX, startY: press.clientY, ghost: null };
  let names: string[] = [];

  const move = (event: PointerEvent) => {
    if (!drag.ghost) {
      if (Math.hypot(event.clientX - drag.startX, event.clientY - drag.startY) < THRESHOLD_PX) return;
      names = drag.layers();
      drag.ghost = makeGhost();
      document.body.classList.add("is-dragging-layers");
    }
    scrollNearEdge(event.clientY);
    const target = targetAt(event.clientX, event.clientY);
    if (viewStore.getState().dropTarget !== target) viewStore.setState({ dropTarget: target });
    const what = names.length === 1 ? (names[0] ?? "") : plural(names.length, "layer");
    drag.ghost.textContent = target === null ? what : `${what} → ${target === "" ? "no device" : target}`;
    drag.ghost.classList.toggle("on-target", target !== null);
    drag.ghost.style.transform = `translate(${event.clientX + 14}px, ${event.clientY + 10}px)`;
  };
  const finish = () => {
    window.removeEventListener("pointermove", move);
    window.removeEventListener("pointerup", up);
    window.removeEventListener("pointercancel", finish);
    window.removeEventListener("keydown", key, true);
    document.body.classList.remove("is-dragging-layers");
    drag.ghost?.remove();
    viewStore.setState({ dropTarget: null });
  };
  const up = (event: PointerEvent) => {
    const dragged = drag.ghost !== null;
    const target = dragged ? targetAt(event.clientX, event.clientY) : null;
    finish();
    if (!dragged) onClick();
    else if (target !== null) assignAndSay(names, target);
  };
  const key = (event: KeyboardEvent) => {
    if (event.key !== "Escape") return;
    event.preventDefault();
    event.stopPropagation();
    finish();
  };
  window.addEventListener("pointermove", move);
  window.addEventListener("pointerup", up);
  window.addEventListener("pointercancel", finish);
  window.addEventListener("keydown", key, true);
}
