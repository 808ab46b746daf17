import { describe, expect, it } from "vitest";
import { Pace, PAUSE_MS, REST_MS } from "./pace";

describe("when the studio is asked", () => {
  it("is at once after a rest", () => {
    const pace = new Pace();
    expect(pace.wait(0)).toBe(0);
    expect(pace.wait(REST_MS + 1)).toBe(0);
  });
  it("is at the pause of edits that follow one another", () => {
    const pace = new Pace();
    pace.wait(0);
    for (let now = 50; now < 3 * REST_MS; now += 50) expect(pace.wait(now)).toBe(PAUSE_MS);
  });
});
