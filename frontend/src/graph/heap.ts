/** A heap: the item with the least key comes out first. */
import { at } from "./network";

export class Heap<T> {
  private readonly items: T[] = [];

  constructor(private readonly key: (item: T) => number) {}

  push(item: T): void {
    let place = this.items.push(item) - 1;
    while (place > 0) {
      const above = (place - 1) >> 1;
      if (this.keyAt(above) <= this.keyAt(place)) return;
      this.swap(above, place);
      place = above;
    }
  }

  pop(): T | undefined {
    const [first] = this.items;
    const last = this.items.pop();
    if (last === undefined || this.items.length === 0) return first;
    this.items[0] = last;
    for (let place = 0; ; ) {
      let least = place;
      for (const below of [2 * place + 1, 2 * place + 2]) if (below < this.items.length && this.keyAt(below) < this.keyAt(least)) least = below;
      if (least === place) return first;
      this.swap(least, place);
      place = least;
    }
  }

  private keyAt(place: number): number {
    return this.key(at(this.items, place));
  }

  private swap(a: number, b: number): void {
    [this.items[a], this.items[b]] = [at(this.items, b), at(this.items, a)];
  }
}
