/** Parts that are not in the first view: fetched when they are first shown, so that the first view is there sooner. */
import { lazy, Suspense, type ComponentType } from "react";
import { insist } from "./insist";

/** A component that fetches itself; nothing is shown meanwhile. `load` gives the module's part: `import("./X").then(({ X }) => X)`. */
export function lazily<P extends object>(load: () => Promise<ComponentType<P>>): ComponentType<P> {
  const Part = lazy(() => insist(load).then((part) => ({ default: part })));
  return function Lazily(props: P) {
    return (
      <Suspense fallback={null}>
        <Part {...props} />
      </Suspense>
    );
  };
}
