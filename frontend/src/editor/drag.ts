/** Dragging layers onto a device: pointer events, a threshold, a ghost that says what a drop would do, Escape cancels. */
import { plural } from "@/app/format";
import { mention } from "@/app/notify";
import { describeTakenAway } from "@/plan/words";
import { followPointer, isFar } from "./gesture";
import { moveGhost } from "./ghost";
import { assignJudged, commit, endTrial, handStore, tryAssigning, type Done } from "./hand";
import { flash, refuse, viewStore } from "./view";

const GAP_PX = 14;
const SCROLL_EDGE_PX = 28;
const SCROLL_STEP_PX = 6;

function laneAt(x: number, y: number): string | null {
  for (const element of document.elementsFromPoint(x, y)) {
    const lane = element.closest<HTMLElement>("[data-drop-device]");
    if (lane) return lane.dataset["dropDevice"] ?? null;
  }
  return null;
}

/** The device under the pointer; in the gap between two, the upper one. */
function targetAt(x: number, y: number): string | null {
  const lane = laneAt(x, y);
  if (lane !== null) return lane;
  const inGap = document.elementFromPoint(x, y)?.closest(".lanes-list") != null;
  return inGap ? laneAt(x, y - GAP_PX) : null;
}

/**
 * While something is dragged: the figures below the devices stay as high as they are, so that what they say of a drop moves
 * no device under the hand; the devices scroll for as long as the pointer, told by `at`, is near an edge of theirs.
 */
function holdLanes(at: () => readonly [x: number, y: number], onScroll: () => void): () => void {
  const lanes = document.querySelector<HTMLElement>(".lanes-list");
  const figures = document.querySelector<HTMLElement>(".plan-figures");
  if (figures) figures.style.height = `${figures.offsetHeight}px`;
  let frame = 0;
  const scroll = () => {
    frame = requestAnimationFrame(scroll);
    const [x, y] = at();
    const box = lanes?.getBoundingClientRect();
    if (!box || x < box.left || x > box.right) return;
    if (y < box.top + SCROLL_EDGE_PX) lanes?.scrollBy(0, -SCROLL_STEP_PX);
    else if (y > box.bottom - SCROLL_EDGE_PX) lanes?.scrollBy(0, SCROLL_STEP_PX);
  };
  lanes?.addEventListener("scroll", onScroll);
  frame = requestAnimationFrame(scroll);
  return () => {
    cancelAnimationFrame(frame);
    lanes?.removeEventListener("scroll", onScroll);
    figures?.style.removeProperty("height");
  };
}

/** Say at a device what was done there; divided layers that became whole are told of, too. */
function say(done: Done, device: string): void {
  if ("refused" in done) {
    refuse(device, done.refused);
    return;
  }
  const target = device === "" ? null : device;
  const where = target ?? "no device";
  flash(device, done.layers === 0 ? `already on ${where}` : `${plural(done.layers, "layer")} → ${where}`);
  if (done.takenAway.length > 0) mention("No longer divided", describeTakenAway(done.takenAway, target));
}

/** Put layers onto a device ("" for none), unless that cannot be, and say there what was done, or why not. */
export function assignAndSay(layers: readonly string[], device: string): void {
  say(assignJudged(layers, device), device);
}

/** Begin a possible drag at a pointer press. `layers` is asked when it has become one; `onClick` is called when it has not. */
export function beginDrag(press: PointerEvent, layers: () => string[], onClick: () => void): void {
  let names: string[] | null = null;
  let at: readonly [x: number, y: number] = [press.clientX, press.clientY];
  let endHolding: (() => void) | null = null;

  const begin = () => {
    const begun = layers();
    handStore.setState({ dragged: begun.length === 1 ? (begun[0] ?? "") : plural(begun.length, "layer") });
    document.body.classList.add("is-dragging-layers");
    endHolding = holdLanes(
      () => at,
      () => over(begun, targetAt(...at)),
    );
    return begun;
  };
  const over = (layersHeld: readonly string[], target: string | null) => {
    if (viewStore.getState().dropTarget === target) return;
    viewStore.setState({ dropTarget: target });
    if (target === null) endTrial();
    else tryAssigning(layersHeld, target);
  };
  const move = (event: PointerEvent) => {
    if (names === null && !isFar(press, event)) return;
    names ??= begin();
    at = [event.clientX, event.clientY];
    over(names, targetAt(event.clientX, event.clientY));
    moveGhost(event.clientX, event.clientY);
  };
  const finish = () => {
    document.body.classList.remove("is-dragging-layers");
    endHolding?.();
    endTrial();
    handStore.setState({ dragged: null });
    viewStore.setState({ dropTarget: null });
  };
  const up = (event: PointerEvent) => {
    const target = names === null ? null : targetAt(event.clientX, event.clientY);
    if (names !== null) over(names, target);
    const { trial } = handStore.getState();
    finish();
    if (names === null) onClick();
    else if (target !== null) say(trial ? commit(trial) : { layers: 0, takenAway: [] }, target);
  };
  followPointer(press, { move, up, cancel: finish });
}
