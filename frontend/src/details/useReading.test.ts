// @vitest-environment happy-dom
import { act, type FocusEvent, type KeyboardEvent } from "react";
import { expect, test } from "vitest";
import { rendered } from "@/app/rendered";
import { useReading } from "./useReading";

test("the arrow keys read a chart part after part, and stay inside", () => {
  const hook = rendered(useReading, 3);
  const press = (key: string) => {
    act(() => hook.now()[1].onKeyDown({ key, preventDefault: () => undefined, stopPropagation: () => undefined } as KeyboardEvent<SVGSVGElement>));
    return hook.now()[0];
  };
  expect(["ArrowRight", "ArrowRight", "End", "ArrowRight", "Home", "ArrowLeft"].map(press)).toEqual([0, 1, 2, 2, 0, 0]);
  act(() => hook.now()[1].onBlur({} as FocusEvent<SVGSVGElement>));
  expect(hook.now()[0]).toBeNull();
  expect(press("ArrowLeft")).toBe(2);
  hook.end();
});
