/** Moving the camera over some time: a new movement, or a hand, ends an older one where it is. */
import type { Camera } from "./flow";

const ease = (t: number): number => (t < 0.5 ? 4 * t ** 3 : 1 - 4 * (1 - t) ** 3);

/** Where the camera is at a share of the way. Zoom grows evenly; each point of the canvas moves straight. */
export function between(from: Camera, to: Camera, share: number): Camera {
  if (share >= 1) return to;
  const zoom = from.zoom * (to.zoom / from.zoom) ** share;
  const way = Math.abs(to.zoom - from.zoom) < 1e-9 ? share : (zoom - from.zoom) / (to.zoom - from.zoom);
  return { x: from.x + (to.x - from.x) * way, y: from.y + (to.y - from.y) * way, zoom };
}

export class Glide {
  private frame = 0;
  private wanted: Camera | null = null;

  constructor(
    private readonly camera: () => Camera,
    private readonly set: (camera: Camera) => void,
  ) {}

  moveTo(to: Camera, durationMs: number): void {
    this.end();
    if (durationMs <= 0) {
      this.set(to);
      return;
    }
    this.wanted = to;
    const from = this.camera();
    const begin = performance.now();
    const step = () => {
      const share = (performance.now() - begin) / durationMs;
      this.frame = share < 1 ? requestAnimationFrame(step) : 0;
      if (share >= 1) this.wanted = null;
      this.set(between(from, to, share >= 1 ? 1 : ease(share)));
    };
    this.frame = requestAnimationFrame(step);
  }

  /** Where the camera will be when nothing comes between: what is asked for next goes on from there. */
  goal(): Camera {
    return this.wanted ?? this.camera();
  }

  /** Stay where the view is now. */
  end(): void {
    cancelAnimationFrame(this.frame);
    this.frame = 0;
    this.wanted = null;
  }
}
