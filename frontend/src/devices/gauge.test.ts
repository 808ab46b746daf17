import { describe, expect, it } from "vitest";
import { formatBytes } from "@/app/format";
import { gaugeOf, toneOf, worstTone, type Reading } from "./gauge";

const memory: Reading = { label: "Memory", live: null, isLive: false, predicted: 500, limit: 1000, format: formatBytes };

describe("a gauge", () => {
  it("turns before its limit is crossed", () => {
    expect([0.5, 0.86, 0.96, 1.2].map((share) => toneOf(share, 1))).toEqual(["fine", "close", "full", "full"]);
    expect(toneOf(5, null)).toBe("fine");
  });
  it("warns of what is only predicted, before anything is deployed", () => {
    const { tone, fill, mark, words } = gaugeOf({ ...memory, predicted: 960 });
    expect([tone, fill, mark]).toEqual(["full", 0.96, null]);
    expect(words).toBe("Memory: 960\u202fB of 1.00\u202fKB, 96\u202f% predicted; at the limit");
  });
  it("marks the predicted beside what is live, and takes the worse of the two", () => {
    const { tone, fill, mark, words } = gaugeOf({ ...memory, isLive: true, live: 400, predicted: 870 });
    expect([tone, fill, mark]).toEqual(["close", 0.4, 0.87]);
    expect(words).toBe("Memory: 400\u202fB of 1.00\u202fKB, 40\u202f%; predicted 870\u202fB; close to the limit");
  });
  it("says that there is no sensor, and shows no 0", () => {
    const { fill, value, words } = gaugeOf({ ...memory, label: "Power", isLive: true, live: null, predicted: null, limit: null, none: "no sensor" });
    expect([fill, value, words]).toEqual([null, "no sensor", "Power: no sensor"]);
  });
  it("is calm of the busiest device of a plan, and not of one that is full", () => {
    const load: Reading = { ...memory, label: "Load", predicted: 1, limit: 1, calm: true, format: String };
    expect(gaugeOf(load).tone).toBe("fine");
    expect(gaugeOf({ ...load, isLive: true, live: 0.99 }).tone).toBe("full");
  });
  it("has a scale without a limit, and never an alarm", () => {
    const { fill, mark, tone } = gaugeOf({ ...memory, isLive: true, live: 4, predicted: 2, limit: null });
    expect([fill, mark, tone]).toEqual([0.8, 0.4, "fine"]);
  });
  it("tells the worst of several", () => {
    expect(worstTone([])).toBe("fine");
    expect(worstTone(["close", "fine", "full"])).toBe("full");
  });
});
