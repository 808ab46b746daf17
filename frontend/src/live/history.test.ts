import { describe, expect, it } from "vitest";
import type { HistoryPoint } from "@/api/types";
import { joinHistory, throttledShare } from "./history";

const point = (second: number, power_w: number | null, throttled = false): HistoryPoint => ({
  at: new Date(second * 1000).toISOString(), frames_per_s: power_w === null ? null : 1, cpu_utilisation: null, memory_bytes: null, power_w, temperature_c: null, throttled,
});

describe("history before the live figures", () => {
  it("comes first, and ends where they begin", () => {
    const history = { points: [point(10, 1), point(20, 2), point(30, 3)] };
    expect(joinHistory(history, "power", [[25, 26], [7, 8]])).toEqual([[10, 20, 25, 26], [1, 2, 7, 8]]);
  });
  it("keeps its gaps, and stands alone when nothing is live", () => {
    const history = { points: [point(10, 1), point(20, null), point(30, 3)] };
    expect(joinHistory(history, "power", [[], []])).toEqual([[10, 20, 30], [1, null, 3]]);
    expect(joinHistory(null, "power", [[1], [2]])).toEqual([[1], [2]]);
  });
  it("tells how long the device was throttled, of the time that is known", () => {
    expect(throttledShare({ points: [point(1, 1, true), point(2, 1), point(3, null)] })).toBe(0.5);
    expect(throttledShare({ points: [] })).toBeNull();
  });
});
