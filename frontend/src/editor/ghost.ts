/** What follows the pointer is moved past React: a card that is dragged is not drawn anew sixty times a second. */

const place = { x: -1000, y: -1000 };
const followers = new Set<HTMLElement>();
const GAP = { x: 14, y: 10 };

function put(element: HTMLElement): void {
  element.style.visibility = place.x < 0 ? "hidden" : "visible";
  const { width, height } = element.getBoundingClientRect();
  // At the right and lower edge it stands on the pointer's other side.
  const x = place.x + GAP.x + width > window.innerWidth ? place.x - GAP.x - width : place.x + GAP.x;
  const y = place.y + GAP.y + height > window.innerHeight ? place.y - GAP.y - height : place.y + GAP.y;
  element.style.transform = `translate(${Math.max(x, 0)}px, ${Math.max(y, 0)}px)`;
}

/** Have an element beside the pointer; returns what ends it. For a `ref`. */
export function follow(element: HTMLElement | null): (() => void) | undefined {
  if (!element) return undefined;
  followers.add(element);
  put(element);
  // What it says changes its size while the pointer rests.
  const sizes = new ResizeObserver(() => put(element));
  sizes.observe(element);
  return () => {
    sizes.disconnect();
    followers.delete(element);
  };
}

export function moveGhost(x: number, y: number): void {
  place.x = x;
  place.y = y;
  followers.forEach(put);
}

/** The pointer is elsewhere. */
export const hideGhost = (): void => moveGhost(-1000, -1000);
