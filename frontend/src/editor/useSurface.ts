/** A drawing surface that is drawn anew, at most once a frame, when something that it shows has changed. */
import { useCallback, useEffect, useRef, type RefObject } from "react";
import { readInk, type Ink } from "./paint";

type Draw = (context: CanvasRenderingContext2D, ink: Ink, density: number) => void;

export interface Surface {
  ref: RefObject<HTMLCanvasElement | null>;
  /** Draw in the next frame. */
  redraw: () => void;
  /** Draw now, in a frame that has begun. */
  paint: () => void;
}

export function useSurface(width: number, height: number, draw: Draw): Surface {
  const ref = useRef<HTMLCanvasElement>(null);
  const frame = useRef(0);
  const latest = useRef(draw);
  const ink = useRef<Ink | null>(null);
  const paint = useCallback(() => {
    cancelAnimationFrame(frame.current);
    frame.current = 0;
    const context = ref.current?.getContext("2d");
    if (context) latest.current(context, (ink.current ??= readInk()), window.devicePixelRatio || 1);
  }, []);
  const redraw = useCallback(() => {
    if (frame.current === 0) frame.current = requestAnimationFrame(paint);
  }, [paint]);
  useEffect(() => {
    latest.current = draw;
    redraw();
  }, [draw, redraw]);
  useEffect(() => {
    const element = ref.current;
    if (!element) return;
    let screen: MediaQueryList | undefined;
    const fit = () => {
      const density = window.devicePixelRatio || 1;
      element.width = Math.round(width * density);
      element.height = Math.round(height * density);
      // On another screen it has more or fewer pixels, at the same size.
      screen?.removeEventListener("change", fit);
      screen = window.matchMedia(`(resolution: ${density}dppx)`);
      screen.addEventListener("change", fit);
      redraw();
    };
    fit();
    return () => screen?.removeEventListener("change", fit);
  }, [width, height, redraw]);
  useEffect(() => {
    const theme = new MutationObserver(() => {
      ink.current = null;
      redraw();
    });
    theme.observe(document.documentElement, { attributeFilter: ["data-mantine-color-scheme"] });
    return () => {
      theme.disconnect();
      cancelAnimationFrame(frame.current);
      frame.current = 0;
    };
  }, [redraw]);
  return { ref, redraw, paint };
}
