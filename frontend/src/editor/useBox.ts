/** The selection box that is drawn over the canvas. */
import { useState, type PointerEvent as ReactPointerEvent, type RefObject } from "react";
import { spanned, type Rect } from "@/graph/hit";
import { layersInRect } from "@/graph/select";
import { cameraMan } from "./camera";
import type { Scene } from "./context";
import { followPointer, isFar } from "./gesture";
import { select, viewStore } from "./view";

export interface Box {
  /** As it is drawn, from the canvas's corner; null while there is none. */
  rect: Rect | null;
  /** Begin one at a press. A press that goes nowhere is a tap. */
  begin: (press: ReactPointerEvent, keep: boolean, tap?: () => void) => void;
}

const placeOf = ({ clientX, clientY }: Pick<PointerEvent, "clientX" | "clientY">) => ({ x: clientX, y: clientY });

export function useBox({ network, tree, layout }: Scene, host: RefObject<HTMLElement | null>): Box {
  const [rect, setRect] = useState<Rect | null>(null);
  const begin: Box["begin"] = ({ nativeEvent: press }, keep, tap) => {
    const origin = host.current?.getBoundingClientRect();
    if (!origin) return;
    const { selection, anchor, cursor } = viewStore.getState();
    let moved = false;
    let touched: readonly number[] | null = null;
    const move = (event: PointerEvent) => {
      moved ||= isFar(press, event);
      const control = cameraMan.control;
      if (!moved || !control) return;
      const drawn = spanned(placeOf(press), placeOf(event));
      setRect({ ...drawn, x: drawn.x - origin.left, y: drawn.y - origin.top });
      const meant = spanned(control.toCanvas(placeOf(press)), control.toCanvas(placeOf(event)));
      const layers = layersInRect(network, tree, layout.items, meant);
      // Most movements touch no other card: then none needs to be looked at.
      if (touched && layers.length === touched.length && layers.every((node, i) => node === touched?.[i])) return;
      touched = layers;
      select([...(keep ? selection : []), ...layers]);
    };
    const up = () => {
      setRect(null);
      if (!moved) tap?.();
    };
    const cancel = () => {
      setRect(null);
      viewStore.setState({ selection, anchor, cursor });
    };
    followPointer(press, { move, up, cancel });
  };
  return { rect, begin };
}
