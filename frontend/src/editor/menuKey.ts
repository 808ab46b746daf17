/** The menu of devices by the menu key, or Shift F10: it opens where the cursor stands. */

interface Asked {
  target: EventTarget | null;
  currentTarget: EventTarget;
  button: number;
  clientX: number;
  clientY: number;
}

const RIGHT_BUTTON = 2;

/** Whether a menu was asked for by key: that goes to what has the focus, and to nothing in it. */
export const isByKey = ({ target, currentTarget, button }: Pick<Asked, "target" | "currentTarget" | "button">): boolean => target === currentTarget && button !== RIGHT_BUTTON;

/** Where a menu begins for one of the elements in a view: below it; in the middle of the view where it is not drawn, or out of sight. */
export function menuPlace(view: Element, selector: string): [x: number, y: number] {
  const around = view.getBoundingClientRect();
  const card = view.querySelector(selector)?.getBoundingClientRect();
  const [x, y] = card ? [card.left + card.width / 2, card.bottom] : [around.left, around.top];
  const isSeen = card !== undefined && x >= around.left && x <= around.right && y >= around.top && y <= around.bottom;
  return isSeen ? [x, y] : [around.left + around.width / 2, around.top + around.height / 2];
}

/** Where a menu begins that was asked for by key or by the pointer; `selector` finds what it is for. */
export const menuBegins = (asked: Asked & { currentTarget: Element }, selector: string): [x: number, y: number] => (isByKey(asked) ? menuPlace(asked.currentTarget, selector) : [asked.clientX, asked.clientY]);
