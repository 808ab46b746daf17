// @vitest-environment happy-dom
import { expect, it } from "vitest";
import { isByKey, menuPlace } from "./menuKey";

const box = (left: number, top: number, width: number, height: number) => () => new DOMRect(left, top, width, height);

function view(card: DOMRect | null): Element {
  const made = document.createElement("div");
  made.getBoundingClientRect = box(100, 100, 400, 200);
  if (card) {
    const inside = document.createElement("p");
    inside.getBoundingClientRect = () => card;
    made.append(inside);
  }
  return made;
}

it("opens below what the cursor stands on", () => expect(menuPlace(view(new DOMRect(120, 110, 40, 20)), "p")).toEqual([140, 130]));

it("opens in the middle where that is out of sight, or not drawn", () => {
  expect(menuPlace(view(new DOMRect(700, 110, 40, 20)), "p")).toEqual([300, 200]);
  expect(menuPlace(view(new DOMRect(120, 295, 40, 20)), "p")).toEqual([300, 200]);
  expect(menuPlace(view(null), "p")).toEqual([300, 200]);
});

it("tells a key from a press of the right button", () => {
  const [host, card] = [new EventTarget(), new EventTarget()];
  expect([
    isByKey({ target: host, currentTarget: host, button: 0 }),
    isByKey({ target: host, currentTarget: host, button: 2 }),
    isByKey({ target: card, currentTarget: host, button: 0 }),
  ]).toEqual([true, false, false]);
});
