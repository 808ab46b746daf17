/** Which cards a point or a rectangle touches. */
import { CARD_HEIGHT, CARD_WIDTH } from "./layout";

export interface Rect {
  x: number;
  y: number;
  width: number;
  height: number;
}

/** Nodes whose card overlaps the rectangle (canvas units). */
export function nodesInRect(positions: readonly (readonly [number, number])[], rect: Rect): number[] {
  const found: number[] = [];
  positions.forEach(([x, y], node) => {
    const overlaps = x < rect.x + rect.width && rect.x < x + CARD_WIDTH && y < rect.y + rect.height && rect.y < y + CARD_HEIGHT;
    if (overlaps) found.push(node);
  });
  return found;
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
