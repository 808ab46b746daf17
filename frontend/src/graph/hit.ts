/** Which cards a point or a rectangle touches. */
import { CARD_HEIGHT, CARD_WIDTH } from "./box";

export interface Rect {
  x: number;
  y: number;
  width: number;
  height: number;
}

interface Corner {
  x: number;
  y: number;
}

/** The rectangle that two points span, whichever of its corners they are. */
export const spanned = (a: Corner, b: Corner): Rect => ({ x: Math.min(a.x, b.x), y: Math.min(a.y, b.y), width: Math.abs(a.x - b.x), height: Math.abs(a.y - b.y) });

/** Cards that overlap the rectangle (canvas units). */
export function itemsInRect(items: readonly Corner[], rect: Rect): number[] {
  return items.flatMap(({ x, y }, item) => (x < rect.x + rect.width && rect.x < x + CARD_WIDTH && y < rect.y + rect.height && rect.y < y + CARD_HEIGHT ? [item] : []));
}

/** The card at a point; null where there is none. */
export function itemAt(items: readonly Corner[], { x, y }: Corner): number | null {
  return itemsInRect(items, { x, y, width: 0, height: 0 })[0] ?? null;
}

/** The zoom and offset that show a rectangle in a window, at most at `maxZoom`. */
export function fitRect(rect: Rect, window: { width: number; height: number }, padding: number, maxZoom = 1): { x: number; y: number; zoom: number } {
  const zoom = Math.min(
    maxZoom,
    Math.max(window.width - 2 * padding, 40) / Math.max(rect.width, 1),
    Math.max(window.height - 2 * padding, 40) / Math.max(rect.height, 1),
  );
  return {
    x: (window.width - rect.width * zoom) / 2 - rect.x * zoom,
    y: (window.height - rect.height * zoom) / 2 - rect.y * zoom,
    zoom,
  };
}
