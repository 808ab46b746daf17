/** Finding the cards near a point without looking at all of them. */
import { CARD_HEIGHT, CARD_WIDTH } from "./box";
import type { Rect } from "./hit";

const CELL = 256;
const ROWS = 1 << 20;

interface Corner {
  x: number;
  y: number;
}

export class ItemGrid {
  private readonly cells = new Map<number, number[]>();

  constructor(private readonly items: readonly Corner[]) {
    items.forEach(({ x, y }, index) => {
      this.over({ x, y, width: CARD_WIDTH, height: CARD_HEIGHT }, (key) => {
        const cell = this.cells.get(key);
        if (cell) cell.push(index);
        else this.cells.set(key, [index]);
      });
    });
  }

  /** Whether no card overlaps the rectangle. */
  isFree(rect: Rect): boolean {
    let free = true;
    this.over(rect, (key) => {
      for (const index of this.cells.get(key) ?? []) {
        const item = this.items[index];
        if (item && item.x < rect.x + rect.width && rect.x < item.x + CARD_WIDTH && item.y < rect.y + rect.height && rect.y < item.y + CARD_HEIGHT) free = false;
      }
    });
    return free;
  }

  private over({ x, y, width, height }: Rect, visit: (key: number) => void): void {
    for (let column = Math.floor(x / CELL); column <= Math.floor((x + width) / CELL); column += 1) {
      for (let row = Math.floor(y / CELL); row <= Math.floor((y + height) / CELL); row += 1) visit(column * ROWS + row);
    }
  }
}
