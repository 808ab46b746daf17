/** Following a pointer from a press to where it is let go. Escape, the system, or a second finger call it off. */

interface Following {
  move?: (event: PointerEvent) => void;
  /** Let go. */
  up: (event: PointerEvent) => void;
  /** Called off. */
  cancel: () => void;
}

export function followPointer({ pointerId }: Pick<PointerEvent, "pointerId">, { move, up, cancel }: Following, page: EventTarget = window): void {
  const hears: Record<string, (event: Event) => void> = {
    pointermove: (event) => isOwn(event) && move?.(event),
    pointerup: (event) => isOwn(event) && end(() => up(event)),
    pointercancel: (event) => isOwn(event) && end(cancel),
    // Two fingers move the view.
    pointerdown: (event) => isOwn(event) || end(cancel),
    keydown: (event) => {
      if ((event as KeyboardEvent).key !== "Escape") return;
      event.preventDefault();
      event.stopPropagation();
      end(cancel);
    },
  };
  const isOwn = (event: Event): event is PointerEvent => (event as PointerEvent).pointerId === pointerId;
  const end = (last: () => void) => {
    for (const [name, hear] of Object.entries(hears)) page.removeEventListener(name, hear, CAPTURED.has(name));
    last();
  };
  for (const [name, hear] of Object.entries(hears)) page.addEventListener(name, hear, CAPTURED.has(name));
}

/** Before anything else takes Escape for itself. */
const CAPTURED = new Set(["keydown"]);

interface Place {
  clientX: number;
  clientY: number;
}

const THRESHOLD_PX = 5;

/** Whether a pointer went so far from its press that it is no click. */
export const isFar = (press: Place, now: Place): boolean => Math.hypot(now.clientX - press.clientX, now.clientY - press.clientY) >= THRESHOLD_PX;
