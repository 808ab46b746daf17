/** Where the boxes of a network's small picture lie. Pure. */
import type { ModelSummary } from "@/api/types";

export const PICTURE = { width: 120, height: 64 } as const;
const GAP = 1.5;
const EDGE = 5;

type Picture = ModelSummary["picture"];

export interface PictureBox {
  x: number;
  y: number;
  width: number;
  height: number;
  kind: Picture[number][number]["kind"];
}

/** Ranks go down in columns, as in the editor; as many columns as make the boxes about twice as wide as high. */
export function pictureBoxes(picture: Picture): PictureBox[] {
  const count = picture.length;
  if (count === 0) return [];
  const room = { width: PICTURE.width - 2 * EDGE, height: PICTURE.height - 2 * EDGE };
  const columns = Math.max(1, Math.min(count, Math.round(Math.sqrt((count * room.width) / (room.height * 3)))));
  const rows = Math.ceil(count / columns);
  const cell = { width: Math.min(room.width / columns, 34), height: Math.min(room.height / rows, 9) };
  const left = (PICTURE.width - cell.width * columns) / 2;
  const top = (PICTURE.height - cell.height * rows) / 2;
  return picture.flatMap((rank, place) => {
    const column = Math.floor(place / rows);
    const width = (cell.width - GAP * 1.5) / rank.length;
    return rank.map(({ kind }, i) => ({
      x: left + column * cell.width + i * width,
      y: top + (place % rows) * cell.height,
      width: Math.max(width - (rank.length > 1 ? 0.6 : 0), 0.8),
      height: Math.max(cell.height - GAP, 0.8),
      kind,
    }));
  });
}
