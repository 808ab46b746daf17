/** When what moves is drawn: as often as it looks smooth, and seldom where drawing it takes so long that the hand would feel it. Pure. */

const SMOOTH_MS = 33;
/** A frame in which it was drawn may take this long; one of an idle page takes 17 ms. */
const LONG_MS = 25;
/** Where it takes longer, so much of the time is spent on drawing at the most. */
const SHARE = 0.2;
/** How much of what is thought of drawing comes from the newest frame. */
const NEWEST = 0.25;

export class Rhythm {
  private last: number;
  private drawn = false;
  private before: number;
  private tookMs = 0;

  constructor(begin: number) {
    this.last = this.before = begin;
  }

  get isSlow(): boolean {
    return this.tookMs > LONG_MS;
  }

  /** At each frame: the milliseconds that passed since the last drawing; null: it is not to be drawn in this frame. */
  beat(now: number): number | null {
    if (this.drawn) this.tookMs += NEWEST * (now - this.before - this.tookMs);
    this.before = now;
    const passed = now - this.last;
    // A frame comes a little early at times.
    this.drawn = passed > (this.isSlow ? this.tookMs / SHARE : SMOOTH_MS) - 2;
    if (!this.drawn) return null;
    this.last = now;
    return passed;
  }
}
