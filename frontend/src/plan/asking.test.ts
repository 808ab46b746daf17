import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { Asking } from "./asking";
import { Pace, PAUSE_MS, REST_MS } from "./pace";

describe("asking about edits", () => {
  let asked: { value: string; signal: AbortSignal }[];
  let asking: Asking<string>;
  beforeEach(() => {
    vi.useFakeTimers();
    asked = [];
    asking = new Asking(new Pace(), (value, signal) => asked.push({ value, signal }));
  });
  afterEach(() => vi.useRealTimers());
  const values = () => asked.map(({ value }) => value);

  it("begins while the edit is still under way", () => {
    asking.about("first");
    expect(values()).toEqual(["first"]);
  });
  it("leaves out what was overtaken, and calls off what was asked", () => {
    asking.about("first");
    asking.about("second");
    asking.about("third");
    expect(asked[0]?.signal.aborted).toBe(true);
    vi.advanceTimersByTime(PAUSE_MS);
    expect(values()).toEqual(["first", "third"]);
    expect(asked[1]?.signal.aborted).toBe(false);
  });
  it("asks again later unless something newer comes", () => {
    asking.about("first");
    asking.in(3000, "first");
    vi.advanceTimersByTime(REST_MS + 1);
    asking.about("second");
    vi.advanceTimersByTime(5000);
    expect(values()).toEqual(["first", "second"]);
  });
  it("is silent once it has ended", () => {
    asking.about("first");
    asking.about("second");
    asking.end();
    vi.advanceTimersByTime(5000);
    expect(values()).toEqual(["first"]);
    expect(asked[0]?.signal.aborted).toBe(true);
  });
});
