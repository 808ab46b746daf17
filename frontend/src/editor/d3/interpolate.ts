/** In place of `d3-interpolate` (see `vite.config.ts`): what transitions, which there are none of, would ask for. */
export const interpolate = () => (): never => {
  throw new Error("the view glides by glide.ts");
};
export const interpolateZoom = interpolate;
