/** The devices' patterns for a drawn picture; the page has the same as CSS (`.pat-0` and so on). */

interface Stripes {
  /** Of the tile, in pixels. */
  size: number;
  thick: number;
  way: "rising" | "falling" | "level" | "upright";
  strength: number;
}

/** By pattern number, from 1. */
const STRIPES: readonly Stripes[] = [
  { size: 6, thick: 2, way: "rising", strength: 0.55 },
  { size: 6, thick: 2, way: "level", strength: 0.6 },
  { size: 6, thick: 2, way: "falling", strength: 0.55 },
  { size: 3, thick: 1, way: "upright", strength: 0.55 },
  { size: 12, thick: 3, way: "level", strength: 0.7 },
  { size: 12, thick: 4, way: "rising", strength: 0.6 },
  { size: 3, thick: 1.5, way: "level", strength: 0.45 },
];

const made = new WeakMap<CanvasRenderingContext2D, Map<number, CanvasPattern | null>>();

/** What to fill with on top of a device's colour; null for a solid one. */
export function patternOf(context: CanvasRenderingContext2D, pattern: number): CanvasPattern | null {
  const stripes = STRIPES[pattern - 1];
  if (!stripes) return null;
  let known = made.get(context);
  if (!known) made.set(context, (known = new Map()));
  const kept = known.get(pattern);
  if (kept !== undefined) return kept;
  const tile = drawTile(stripes);
  const fresh = tile && context.createPattern(tile, "repeat");
  known.set(pattern, fresh);
  return fresh;
}

function drawTile({ size, thick, way, strength }: Stripes): HTMLCanvasElement | null {
  const tile = document.createElement("canvas");
  tile.width = size;
  tile.height = size;
  const context = tile.getContext("2d");
  if (!context) return null;
  context.strokeStyle = `rgb(255 255 255 / ${strength})`;
  context.fillStyle = context.strokeStyle;
  if (way === "level") context.fillRect(0, size - thick, size, thick);
  else if (way === "upright") context.fillRect(size - thick, 0, thick, size);
  else {
    context.lineWidth = thick * 0.7;
    const [start, end] = way === "rising" ? [size, 0] : [0, size];
    // Once in the tile, and once at either corner, where its neighbours go on.
    for (const shift of [-size, 0, size]) {
      context.beginPath();
      context.moveTo(shift - 1, start + (way === "rising" ? 1 : -1));
      context.lineTo(shift + size + 1, end + (way === "rising" ? -1 : 1));
      context.stroke();
    }
  }
  return tile;
}
