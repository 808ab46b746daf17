/** Whether the network has been seen: what is not in the first picture waits until then. */
import { useEffect, useState } from "react";

const AFTER_FRAMES = 6;
const AT_MOST_MS = 1000;

export function usePictured(isThere: boolean): boolean {
  const [pictured, setPictured] = useState(false);
  useEffect(() => {
    if (!isThere || pictured) return;
    // React Flow draws cards a frame after it has been measured. A page in the background draws no frames, so a timer goes along.
    const done = () => setPictured(true);
    let frames = 0;
    const next = () => ((frames += 1) < AFTER_FRAMES ? (frame = requestAnimationFrame(next)) : done());
    let frame = requestAnimationFrame(next);
    const timer = setTimeout(done, AT_MOST_MS);
    return () => {
      cancelAnimationFrame(frame);
      clearTimeout(timer);
    };
  }, [isThere, pictured]);
  return pictured;
}
