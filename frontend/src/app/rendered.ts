/** Drawing a hook in a test: what it gives now, drawn anew with other arguments, and its end. */
import { act, createElement } from "react";
import { createRoot } from "react-dom/client";

interface Rendered<A extends readonly unknown[], R> {
  /** What the hook gave when it was drawn last. */
  now: () => R;
  draw: (...args: A) => void;
  end: () => void;
}

export function rendered<A extends readonly unknown[], R>(hook: (...args: A) => R, ...first: A): Rendered<A, R> {
  (globalThis as { IS_REACT_ACT_ENVIRONMENT?: boolean }).IS_REACT_ACT_ENVIRONMENT = true;
  const root = createRoot(document.createElement("div"));
  const given: R[] = [];
  const Host = ({ args }: { args: A }) => {
    given.push(hook(...args));
    return null;
  };
  const draw = (...args: A) => act(() => root.render(createElement(Host, { args })));
  draw(...first);
  return { now: () => given.at(-1) as R, draw, end: () => act(() => root.unmount()) };
}
