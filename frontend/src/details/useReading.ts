/** Reading a chart one part after the other: with the pointer, or with the arrow keys once it has the focus. */
import { useState, type DOMAttributes, type KeyboardEvent } from "react";

type Reading = Required<Pick<DOMAttributes<SVGSVGElement>, "onKeyDown" | "onBlur" | "onPointerLeave" | "onPointerMove">> & { tabIndex: number };

/** Which of `count` parts, that lie side by side, is read; null: none. The rest is for the drawing. */
export function useReading(count: number): [read: number | null, reading: Reading] {
  const [read, setRead] = useState<number | null>(null);
  const go = (to: number) => setRead(Math.min(Math.max(to, 0), count - 1));
  const key = (event: KeyboardEvent) => {
    const to = { ArrowRight: (read ?? -1) + 1, ArrowLeft: (read ?? count) - 1, Home: 0, End: count - 1 }[event.key];
    if (to === undefined) return;
    event.preventDefault();
    event.stopPropagation();
    go(to);
  };
  const reading: Reading = {
    tabIndex: 0,
    onKeyDown: key,
    onBlur: () => setRead(null),
    onPointerLeave: () => setRead(null),
    onPointerMove: (event) => {
      const { left, width } = event.currentTarget.getBoundingClientRect();
      go(Math.floor(((event.clientX - left) / width) * count));
    },
  };
  return [read, reading];
}
