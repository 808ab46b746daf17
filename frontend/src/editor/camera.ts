/** Moving the view: fit, zoom, and bringing a layer into the middle. Positions come from the layout, not from the page. */
import type { Layout } from "@/graph/layout";
import { CARD_HEIGHT, CARD_WIDTH } from "@/graph/layout";
import { fitRect } from "@/graph/hit";
import { at } from "@/graph/network";
import { MAX_ZOOM, MIN_ZOOM, type Camera, type FlowControl } from "./flow";

const MOVE_MS = 220;

export function moveMs(): number {
  return window.matchMedia("(prefers-reduced-motion: reduce)").matches ? 0 : MOVE_MS;
}

/** The tools and the selection stand at the lower edge. */
const BOTTOM_BAR = 44;

export function fitCamera(layout: Layout, window: { width: number; height: number }): Camera {
  const { top } = layout;
  return fitRect({ x: 0, y: top, width: layout.width - 12, height: layout.height - top }, { width: window.width, height: window.height - BOTTOM_BAR }, 26);
}

/** The one place that other panels use to move the canvas. */
export class CameraMan {
  control: FlowControl | null = null;
  layout: Layout | null = null;
  size = { width: 800, height: 600 };
  /** Whether the whole network is shown as `fit` left it: it then stays fitted when the canvas changes its size. */
  fitted = true;

  fit = (): void => {
    if (this.layout) this.control?.moveTo(fitCamera(this.layout, this.size), moveMs());
    this.fitted = true;
  };

  /** The canvas has another size now. */
  resize = (size: { width: number; height: number }): void => {
    const changed = size.width !== this.size.width || size.height !== this.size.height;
    this.size = size;
    if (changed && this.fitted) this.fit();
  };

  zoomBy = (factor: number): void => {
    if (!this.control) return;
    const { x, y, zoom } = this.control.camera();
    this.fitted = false;
    const next = Math.min(MAX_ZOOM, Math.max(MIN_ZOOM, zoom * factor));
    const [cx, cy] = [this.size.width / 2, this.size.height / 2];
    this.control.moveTo({ x: cx - ((cx - x) * next) / zoom, y: cy - ((cy - y) * next) / zoom, zoom: next }, moveMs());
  };

  /** Centre a node at a readable zoom. */
  show = (node: number): void => {
    if (!this.control || !this.layout) return;
    this.fitted = false;
    const [x, y] = at(this.layout.positions, node);
    const zoom = Math.max(this.control.camera().zoom, 0.8);
    this.control.moveTo(
      { x: this.size.width / 2 - (x + CARD_WIDTH / 2) * zoom, y: this.size.height / 2 - (y + CARD_HEIGHT / 2) * zoom, zoom },
      moveMs(),
    );
  };

  /** Move no more than needed to have a node in view. */
  reveal = (node: number): void => {
    if (!this.control || !this.layout) return;
    const { x, y, zoom } = this.control.camera();
    const [left, top] = at(this.layout.positions, node);
    const [sx, sy] = [left * zoom + x, top * zoom + y];
    const margin = 30;
    const inside = sx > margin && sy > margin && sx + CARD_WIDTH * zoom < this.size.width - margin && sy + CARD_HEIGHT * zoom < this.size.height - margin;
    if (!inside) this.show(node);
  };
}

export const cameraMan = new CameraMan();
