import { describe, expect, it } from "vitest";
import type { DeviceProgress } from "@/api/types";
import { bytesShare, overallShare, overallWords, rateOf, stepsOf } from "./steps";

const at = (step: DeviceProgress["step"], ...steps: DeviceProgress["steps"]): DeviceProgress => ({ device: "a", step, detail: "", done_bytes: null, total_bytes: null, elapsed_s: 0, problem: null, steps });
const one = (step: DeviceProgress["steps"][number]["step"], elapsed_s = 1, done_bytes: number | null = null, total_bytes: number | null = null) => ({ step, elapsed_s, done_bytes, total_bytes });
const states = (progress: DeviceProgress, ended = false) => stepsOf(progress, ended).map(({ state }) => state).join(" ");

describe("the steps of a device", () => {
  it("are done before the one that goes on, and to come after it", () => {
    expect(states(at("push", one("connect"), one("check"), one("install"), one("push")))).toBe("done done done now ahead ahead ahead");
  });
  it("that it never came to were not needed", () => {
    expect(states(at("push", one("connect"), one("push")))).toBe("done skipped skipped now ahead ahead ahead");
    expect(states(at("ready", one("connect"), one("push"), one("load"), one("verify"), one("start")))).toBe("done skipped skipped done done done done");
  });
  it("show where it failed, and nothing of an earlier try beyond it", () => {
    expect(states(at("failed", one("connect"), one("install")))).toBe("done skipped failed ahead ahead ahead ahead");
    const again = stepsOf(at("connect", one("install"), one("connect")), false);
    expect(again.map(({ state }) => state).slice(0, 3)).toEqual(["now", "ahead", "ahead"]);
    expect(again[2]?.elapsedS).toBeNull();
  });
  it("are done while the device waits for others, and given up once the deployment is", () => {
    const waiting = at("waiting", one("connect"), one("install"));
    expect(states(waiting)).toBe("done skipped done ahead ahead ahead ahead");
    expect(states(waiting, true)).toBe("done skipped stopped ahead ahead ahead ahead");
    expect(states(at("waiting"))).toBe("ahead ahead ahead ahead ahead ahead ahead");
  });
  it("tell their bytes and rate", () => {
    const push = stepsOf(at("push", one("push", 2, 5_000_000, 10_000_000)), false)[3];
    expect(push && [bytesShare(push), rateOf(push)]).toEqual([0.5, 2_500_000]);
    expect(bytesShare({ doneBytes: 0, totalBytes: 0 })).toBeNull();
    expect(rateOf({ doneBytes: 5, elapsedS: 0 })).toBeNull();
  });
});

describe("a whole deployment", () => {
  it("grows from nothing to all", () => {
    const ready = at("ready", one("connect"), one("start"));
    expect(overallShare({ devices: [] })).toBe(0);
    expect(overallShare({ devices: [at("waiting"), at("waiting")] })).toBe(0);
    expect(overallShare({ devices: [ready, at("waiting")] })).toBe(0.5);
    expect(overallShare({ devices: [ready] })).toBe(1);
  });
  it("is told in a sentence", () => {
    expect(overallWords({ state: "deploying", devices: [at("ready"), { ...at("failed"), device: "b" }] })).toBe("1 of 2 devices is ready; b failed");
    expect(overallWords({ state: "running", devices: [] })).toBe("It runs");
  });
});
