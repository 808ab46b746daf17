/** Painting along the network: what the brush passes takes its device at once, and a stroke is one step of the history. */
import { plural } from "@/app/format";
import { mention } from "@/app/notify";
import type { Sharding } from "@/api/types";
import { own } from "@/app/own";
import { CARD_HEIGHT } from "@/graph/layout";
import { itemAt } from "@/graph/hit";
import { at } from "@/graph/network";
import { layersOfItems } from "@/graph/select";
import { apply, layersTouched } from "@/plan/delta";
import { placesOfLayer } from "@/plan/divisions";
import { beginGesture, cancelGesture, edit, endGesture, planAssignment, planStore } from "@/plan/store";
import { describeTakenAway } from "@/plan/words";
import { cameraMan } from "./camera";
import type { Scene } from "./context";
import { followPointer } from "./gesture";
import { handStore, judged, takeBrush } from "./hand";
import { flash, refuse } from "./view";

type Point = { x: number; y: number };

/** Samples of a fast stroke lie no farther apart than this, so that no card is jumped over. */
const SAMPLE = CARD_HEIGHT / 2;

/** The cards that a line passes, in order. */
export function itemsAlong(items: Parameters<typeof itemAt>[0], from: Point, to: Point): number[] {
  const steps = Math.max(1, Math.ceil(Math.hypot(to.x - from.x, to.y - from.y) / SAMPLE));
  const passed = new Set<number>();
  for (let i = 0; i <= steps; i += 1) {
    const item = itemAt(items, { x: from.x + ((to.x - from.x) * i) / steps, y: from.y + ((to.y - from.y) * i) / steps });
    if (item !== null) passed.add(item);
  }
  return [...passed];
}

interface Painted {
  layers: number;
  takenAway: readonly Sharding[];
  refused: string | null;
}

const strokeLabel = (layers: number, brush: string): string => `Paint ${plural(layers, "layer")} → ${brush === "" ? "no device" : brush}`;

/** Put layers onto the brush's device, unless that cannot be. */
export function paintLayers(layers: readonly string[], brush: string, painted = 0): Painted {
  const target = brush === "" ? null : brush;
  const delta = layers.length === 0 ? null : planAssignment(layers, target);
  if (!delta) return { layers: 0, takenAway: [], refused: null };
  const content = apply(planStore.getState().content, delta);
  const { refused } = judged(content, [brush]);
  return refused === null ? { ...edit({ ...delta, label: strokeLabel(painted + layersTouched(delta), brush) }, content), refused } : { layers: 0, takenAway: [], refused };
}

/** Say what a stroke, or a step of the keys, has painted. */
export function sayPainted({ layers, takenAway, refused }: Painted, brush: string): void {
  if (refused !== null) refuse(brush, refused);
  else if (layers > 0) flash(brush, `${plural(layers, "layer")} → ${brush === "" ? "no device" : brush}`);
  if (takenAway.length > 0) mention("No longer divided", describeTakenAway(takenAway, brush === "" ? null : brush));
}

/** Take the device of some layers as the brush; false where they have none of their own. */
export function pickBrush(layers: readonly string[]): boolean {
  const [first] = layers;
  if (first === undefined) return false;
  const { content } = planStore.getState();
  const place = own(content.placement, first) ?? placesOfLayer(content, first)[0];
  if (place === undefined) return false;
  takeBrush(place);
  return true;
}

/** Begin a stroke at a press. `first` are layers that are meant by the press itself, as a block's title means all of it. */
export function beginStroke(press: PointerEvent, { network, tree, layout }: Scene, first: readonly string[]): void {
  const { brush } = handStore.getState();
  const control = cameraMan.control;
  if (brush === null || !control) return;
  const done: Painted = { layers: 0, takenAway: [], refused: null };
  const seen = new Set<number>();
  let last = control.toCanvas({ x: press.clientX, y: press.clientY });

  const take = (layers: readonly string[]) => {
    const painted = paintLayers(layers, brush, done.layers);
    done.layers += painted.layers;
    done.takenAway = [...done.takenAway, ...painted.takenAway];
    if (painted.refused !== null && done.refused !== painted.refused) refuse(brush, painted.refused);
    done.refused = painted.refused ?? done.refused;
  };
  const along = (to: Point) => {
    const fresh = itemsAlong(layout.items, last, to).filter((item) => !seen.has(item));
    last = to;
    for (const item of fresh) seen.add(item);
    if (fresh.length > 0) take(layersOfItems(network, tree, layout.items, fresh).map((node) => at(network.nodes, node).name));
  };
  beginGesture();
  if (first.length > 0) take(first);
  else along(last);
  followPointer(press, {
    move: (event) => along(control.toCanvas({ x: event.clientX, y: event.clientY })),
    up: () => {
      endGesture(strokeLabel(done.layers, brush));
      sayPainted(done, brush);
    },
    cancel: cancelGesture,
  });
}
