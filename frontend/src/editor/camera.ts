/** Moving the view: fit, zoom, and bringing a layer into the middle. Positions come from the layout, not from the page. */
import { CARD_HEIGHT, CARD_WIDTH, type Layout } from "@/graph/layout";
import { fitRect, type Rect } from "@/graph/hit";
import { at } from "@/graph/network";
import { MAX_ZOOM, MIN_ZOOM, type Camera, type FlowControl } from "./flow";
import type { Place } from "./viewLink";

const MOVE_MS = 220;
const MARGIN = 30;

export function moveMs(): number {
  return window.matchMedia("(prefers-reduced-motion: reduce)").matches ? 0 : MOVE_MS;
}

/** The tools and the selection stand at the lower edge. */
const BOTTOM_BAR = 44;
/** The zoom tools stand at the right edge. */
const SIDE_BAR = 42;
const PADDING = 26;

/** How much of a canvas of this size the network may fill. */
export const roomIn = ({ width, height }: { width: number; height: number }) => ({ width: Math.max(width - SIDE_BAR - 2 * PADDING, 200), height: Math.max(height - BOTTOM_BAR - 2 * PADDING, 200) });

export function fitCamera(layout: Layout, window: { width: number; height: number }): Camera {
  const { top } = layout;
  return fitRect({ x: 0, y: top, width: layout.width, height: layout.height - top }, { width: window.width - SIDE_BAR, height: window.height - BOTTOM_BAR }, PADDING);
}

/** Where a fold stands, open or closed; `inX` is where edges come in, which an eye follows. */
export function placeOfFold({ frames, items }: Pick<Layout, "frames" | "items">, fold: number): (Rect & { inX: number }) | null {
  const frame = frames.find((candidate) => candidate.fold === fold);
  if (frame) return frame;
  const item = items.find((candidate) => candidate.fold === fold);
  return item ? { x: item.x, y: item.y, width: CARD_WIDTH, height: CARD_HEIGHT, inX: CARD_WIDTH / 2 } : null;
}

/** What the view does when the next layout is there. */
type Intent = { kind: "show"; node: number } | { kind: "hold"; fold: number } | { kind: "fit" };

/** The one place that other panels use to move the canvas. */
export class CameraMan {
  control: FlowControl | null = null;
  layout: Layout | null = null;
  size = { width: 800, height: 600 };
  /** Whether the whole network is shown as `fit` left it: it then stays fitted when the canvas changes its size. */
  fitted = true;
  /** How much of the canvas something covers at its left edge. */
  private covered = 0;
  private intent: Intent | null = null;
  private readonly watchers = new Set<(camera: Camera) => void>();

  /** Be told of every movement; returns what ends it. */
  watch(moved: (camera: Camera) => void): () => void {
    this.watchers.add(moved);
    return () => this.watchers.delete(moved);
  }

  moved(camera: Camera, byHand: boolean): void {
    if (byHand) this.fitted = false;
    for (const watcher of this.watchers) watcher(camera);
  }

  fit = (): void => {
    if (this.layout) this.control?.moveTo(fitCamera(this.layout, this.size), moveMs());
    this.fitted = true;
  };

  /** Something covers so much of the canvas at its left edge; returns what ends it. */
  cover(width: number): () => void {
    this.covered = width;
    return () => {
      this.covered = 0;
    };
  }

  /** Move a node's card out from behind what covers it. */
  uncover = (node: number): void => {
    if (!this.control || !this.layout) return;
    const { x, y, zoom } = this.control.camera();
    const left = this.cardOf(this.layout, node).x * zoom + x;
    if (left >= this.covered + MARGIN || left + CARD_WIDTH * zoom < 0) return;
    this.fitted = false;
    this.control.moveTo({ x: x + this.covered + MARGIN - left, y, zoom }, moveMs());
  };

  /** Move a node's card out from under what stands over the canvas from `from` to `to`, across: to that side where it is seen whole. */
  clear = (node: number, from: number, to: number): void => {
    if (!this.control || !this.layout) return;
    const { x, y, zoom } = this.control.camera();
    const width = CARD_WIDTH * zoom;
    const left = this.cardOf(this.layout, node).x * zoom + x;
    if (left + width <= from || left >= to) return;
    const aside = [to + MARGIN, from - MARGIN - width].find((place) => place >= MARGIN && place + width <= this.size.width - SIDE_BAR);
    if (aside === undefined) return;
    this.fitted = false;
    this.control.moveTo({ x: x + aside - left, y, zoom }, moveMs());
  };

  /** The canvas has another size now. */
  resize = (size: { width: number; height: number }): void => {
    const changed = size.width !== this.size.width || size.height !== this.size.height;
    this.size = size;
    if (changed && this.fitted) this.fit();
  };

  /** When the next layout comes, keep a fold where it is in the window, and have as much of it in view as can be. */
  holdNext(fold: number): void {
    this.intent = { kind: "hold", fold };
  }

  /** When the next layout comes, centre a node. */
  showNext(node: number): void {
    this.intent = { kind: "show", node };
  }

  /** The canvas is gone. */
  leave(): void {
    this.control = null;
    this.layout = null;
    this.intent = null;
    this.fitted = true;
  }

  /** When the next layout comes, show all of it. */
  fitNext(): void {
    this.intent = { kind: "fit" };
  }

  /** Another layout is shown from now on: what was in view stays there. */
  take(next: Layout): void {
    const before = this.layout;
    const intent = this.intent;
    this.layout = next;
    this.intent = null;
    if (!this.control || before === next || !before) return;
    if (intent?.kind === "show") this.show(intent.node);
    else if (intent?.kind === "hold") this.hold(intent.fold, before, next);
    else if (this.fitted || intent?.kind === "fit") this.fit();
    else this.keep(before, next);
  }

  private hold(fold: number, before: Layout, next: Layout): void {
    const [old, now] = [placeOfFold(before, fold), placeOfFold(next, fold)];
    if (!old || !now || !this.control) return;
    const { x, y, zoom } = this.control.camera();
    const camera = { x: x + (old.x + old.inX - now.x - now.inX) * zoom, y: y + (old.y - now.y) * zoom, zoom };
    this.control.moveTo(camera, 0);
    this.fitted = false;
    const left = now.x * zoom + camera.x;
    const top = now.y * zoom + camera.y;
    const dx = inside(left, now.width * zoom, this.size.width);
    const dy = inside(top, now.height * zoom, this.size.height - BOTTOM_BAR);
    if (dx !== 0 || dy !== 0) this.control.moveTo({ x: camera.x + dx, y: camera.y + dy, zoom }, moveMs());
  }

  /** Keep the card nearest to the middle of the window where it is. */
  private keep(before: Layout, next: Layout): void {
    if (!this.control) return;
    const camera = this.control.camera();
    const { x, y, zoom } = camera;
    const { nearest } = this.middle(before, camera);
    if (!nearest || nearest.node >= next.itemOf.length) return;
    const now = at(next.items, at(next.itemOf, nearest.node));
    this.control.moveTo({ x: x + (nearest.x - now.x) * zoom, y: y + (nearest.y - now.y) * zoom, zoom }, 0);
  }

  /** Where the middle of the window is, told from the card nearest to it. */
  place(): Place | null {
    if (!this.control || !this.layout) return null;
    const camera = this.control.camera();
    const { cx, cy, nearest } = this.middle(this.layout, camera);
    return nearest ? { node: nearest.node, x: cx - nearest.x, y: cy - nearest.y, zoom: camera.zoom } : null;
  }

  /** Stand at such a place again. */
  goTo({ node, x, y, zoom: wanted }: Place): void {
    if (!this.control || !this.layout) return;
    this.fitted = false;
    const card = this.cardOf(this.layout, node);
    const zoom = Math.min(MAX_ZOOM, Math.max(MIN_ZOOM, wanted));
    const [cx, cy] = [card.x + CARD_WIDTH / 2 + x, card.y + CARD_HEIGHT / 2 + y];
    this.control.moveTo({ x: this.size.width / 2 - cx * zoom, y: this.size.height / 2 - cy * zoom, zoom }, 0);
  }

  zoomBy = (factor: number): void => {
    if (!this.control) return;
    const { x, y, zoom } = this.control.goal();
    this.fitted = false;
    const next = Math.min(MAX_ZOOM, Math.max(MIN_ZOOM, zoom * factor));
    const [cx, cy] = [this.size.width / 2, this.size.height / 2];
    this.control.moveTo({ x: cx - ((cx - x) * next) / zoom, y: cy - ((cy - y) * next) / zoom, zoom: next }, moveMs());
  };

  /** Have a point of the canvas in the middle. */
  centre = ({ x, y }: { x: number; y: number }): void => {
    if (!this.control) return;
    const { zoom } = this.control.camera();
    this.fitted = false;
    this.control.moveTo({ x: this.size.width / 2 - x * zoom, y: this.size.height / 2 - y * zoom, zoom }, 0);
  };

  /** Centre the card that shows a node, at a readable zoom. */
  show = (node: number): void => {
    if (!this.control || !this.layout) return;
    this.fitted = false;
    const { x, y } = this.cardOf(this.layout, node);
    const zoom = Math.max(this.control.camera().zoom, 0.8);
    this.control.moveTo(
      { x: (this.covered + this.size.width) / 2 - (x + CARD_WIDTH / 2) * zoom, y: this.size.height / 2 - (y + CARD_HEIGHT / 2) * zoom, zoom },
      moveMs(),
    );
  };

  /** Have a block in view: its card, or all of it where it is open, as large as it can be read. */
  showFold = (fold: number): void => {
    const place = this.layout && placeOfFold(this.layout, fold);
    if (!this.control || !place) return;
    this.fitted = false;
    const room = { width: this.size.width, height: this.size.height - BOTTOM_BAR };
    this.control.moveTo(fitRect(place, room, 2 * PADDING), moveMs());
  };

  /** Move no more than needed to have the card of a node in view. */
  reveal = (node: number): void => {
    if (!this.control || !this.layout) return;
    const { x, y, zoom } = this.control.camera();
    const { x: left, y: top } = this.cardOf(this.layout, node);
    const [sx, sy] = [left * zoom + x, top * zoom + y];
    const isInside = sx > this.covered + MARGIN && sy > MARGIN && sx + CARD_WIDTH * zoom < this.size.width - MARGIN && sy + CARD_HEIGHT * zoom < this.size.height - MARGIN;
    if (!isInside) this.show(node);
  };

  /** Where a card would stand in the middle of the window, and the card that is nearest to it. */
  private middle({ items }: Layout, { x, y, zoom }: Camera) {
    const [cx, cy] = [(this.size.width / 2 - x) / zoom - CARD_WIDTH / 2, (this.size.height / 2 - y) / zoom - CARD_HEIGHT / 2];
    let nearest = items[0];
    for (const item of items) if (nearest && Math.hypot(item.x - cx, item.y - cy) < Math.hypot(nearest.x - cx, nearest.y - cy)) nearest = item;
    return { cx, cy, nearest };
  }

  private cardOf(layout: Layout, node: number) {
    return at(layout.items, at(layout.itemOf, node));
  }
}

/** By how much to move so that a stretch lies inside; its beginning matters more than its end. */
function inside(start: number, length: number, room: number): number {
  if (start < MARGIN) return MARGIN - start;
  const over = start + length - (room - MARGIN);
  return over > 0 ? -Math.min(over, start - MARGIN) : 0;
}

export const cameraMan = new CameraMan();
