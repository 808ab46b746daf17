import { describe, expect, it, vi } from "vitest";
import { followPointer, isFar } from "./gesture";

const happens = (type: string, more: object): Event => Object.assign(new Event(type, { cancelable: true }), more);

/** A page with a gesture of pointer 1, what it was told, and how many listeners are left. */
function begin() {
  const page = new EventTarget();
  let listeners = 0;
  const [add, remove] = [page.addEventListener.bind(page), page.removeEventListener.bind(page)];
  page.addEventListener = (...args: Parameters<typeof add>) => ((listeners += 1), add(...args));
  page.removeEventListener = (...args: Parameters<typeof remove>) => ((listeners -= 1), remove(...args));
  const told = { move: vi.fn(), up: vi.fn(), cancel: vi.fn() };
  followPointer({ pointerId: 1 }, told, page);
  return { ...told, dispatch: (type: string, more: object) => page.dispatchEvent(happens(type, more)), left: () => listeners };
}

describe("a gesture", () => {
  it("follows its own pointer until that is let go, and listens no longer", () => {
    const { move, up, cancel, dispatch, left } = begin();
    dispatch("pointermove", { pointerId: 1 });
    dispatch("pointermove", { pointerId: 2 });
    dispatch("pointerup", { pointerId: 2 });
    expect([move, up, cancel].map((heard) => heard.mock.calls.length)).toEqual([1, 0, 0]);
    dispatch("pointerup", { pointerId: 1 });
    dispatch("pointermove", { pointerId: 1 });
    expect([move, up, cancel].map((heard) => heard.mock.calls.length)).toEqual([1, 1, 0]);
    expect(left()).toBe(0);
  });

  it.each([
    ["the system", "pointercancel", { pointerId: 1 }],
    ["a second finger", "pointerdown", { pointerId: 2 }],
    ["Escape", "keydown", { key: "Escape" }],
  ])("is called off by %s, and does nothing after that", (_, type, more) => {
    const { up, cancel, dispatch, left } = begin();
    dispatch(type, more);
    dispatch("pointerup", { pointerId: 1 });
    expect([up, cancel].map((heard) => heard.mock.calls.length)).toEqual([0, 1]);
    expect(left()).toBe(0);
  });

  it("is not called off by its own press, another finger's end, or another key", () => {
    const { cancel, dispatch } = begin();
    dispatch("pointerdown", { pointerId: 1 });
    dispatch("pointercancel", { pointerId: 2 });
    dispatch("keydown", { key: "a" });
    expect(cancel).not.toHaveBeenCalled();
  });
});

it("a press that hardly moves is a click", () => {
  const press = { clientX: 10, clientY: 10 };
  expect([isFar(press, { clientX: 13, clientY: 13 }), isFar(press, { clientX: 13, clientY: 14 })]).toEqual([false, true]);
});
