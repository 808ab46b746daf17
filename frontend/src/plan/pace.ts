/** When the studio is asked about an edit: at once after a rest; while edits follow one another, when they pause. */

export const REST_MS = 400;
export const PAUSE_MS = 100;

export class Pace {
  private last = -Infinity;

  /** How long to wait after an edit that is made now. */
  wait(now: number): number {
    const rested = now - this.last > REST_MS;
    this.last = now;
    return rested ? 0 : PAUSE_MS;
  }
}
