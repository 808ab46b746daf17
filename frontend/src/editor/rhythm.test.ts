import { describe, expect, it } from "vitest";
import { Rhythm } from "./rhythm";

/** Frames of so many milliseconds for ten seconds; those that follow a drawing take longer. Returns how often it is drawn in a second of the last five. */
function drawings(frameMs: number, drawingMs: number, rhythm = new Rhythm(0), begin = 0): number {
  let [now, count] = [begin, 0];
  while (now < begin + 10_000) {
    const drawn = rhythm.beat(now) !== null;
    if (drawn && now >= begin + 5000) count += 1;
    now += drawn ? drawingMs : frameMs;
  }
  return count / 5;
}

describe("the rhythm of what moves", () => {
  it("is smooth where drawing is nothing", () => expect(drawings(16.7, 16.7)).toBeGreaterThan(25));
  it.each([33.4, 66.8])("takes a fifth of the time where a frame with it takes %s ms", (took) => {
    const share = (drawings(16.7, took) * took) / 1000;
    expect(share).toBeGreaterThan(0.13);
    expect(share).toBeLessThan(0.21);
  });
  it("is smooth again when the window is small again", () => {
    const rhythm = new Rhythm(0);
    drawings(16.7, 50, rhythm);
    expect(rhythm.isSlow).toBe(true);
    expect(drawings(16.7, 16.7, rhythm, 10_000)).toBeGreaterThan(25);
  });
  it("tells how much time passed since the last drawing", () => {
    const rhythm = new Rhythm(0);
    expect(rhythm.beat(16)).toBeNull();
    expect(rhythm.beat(34)).toBe(34);
    expect(rhythm.beat(50)).toBeNull();
    expect(rhythm.beat(70)).toBe(36);
  });
});
