/**
 * In place of `d3-transition` (see `vite.config.ts`). React Flow's zoom asks it to end what moves before a gesture; here nothing
 * moves by it: the view glides by `glide.ts`. Spares the first view the package and those of colours, curves and clocks.
 */
import { selection } from "d3-selection";

export const interrupt = (): void => undefined;

Object.assign(selection.prototype, {
  interrupt(this: unknown) {
    return this;
  },
  transition() {
    throw new Error("the view glides by glide.ts");
  },
});
