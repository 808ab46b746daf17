import { describe, expect, it } from "vitest";
import { withJob } from "@/api/queries";
import type { Job } from "@/api/types";
import { amountOf, jobOf, newestOf, shareOf } from "./words";

const job: Job = {
  id: "j1", kind: "profile", title: "Profile digits on pi1", devices: ["pi1"], model_id: "m", state: "running", step: "layer 3",
  done: 3, total: 12, unit: "steps", started_at: "2026-01-01T00:00:00Z", ended_at: null, problem: null, warnings: [],
};

describe("jobs", () => {
  it("tell how far they are where that is known", () => {
    expect(shareOf(job)).toBe(0.25);
    expect(shareOf({ ...job, total: null })).toBeNull();
    expect(shareOf({ ...job, done: 20 })).toBe(1);
    expect(shareOf({ ...job, total: null, state: "done" })).toBe(1);
  });
  it("count in their unit: bytes as sizes with the share, never raw", () => {
    const plain = (text: string | null) => text?.replaceAll("\u202f", " ") ?? null;
    expect(plain(amountOf({ done: 8_771_592, total: 42_632_603, unit: "bytes" }))).toBe("8.77 MB of 42.6 MB, 21 %");
    expect(amountOf({ done: 7, total: 8, unit: "steps" })).toBe("7 of 8");
    expect(amountOf({ done: 3, total: 20, unit: "seconds" })).toBe("3 of 20 s");
    expect(amountOf({ done: 3, total: null, unit: "bytes" })).toBeNull();
    expect(amountOf({ done: 0, total: 0, unit: "bytes" })).toBeNull();
  });
  it("that went on in a studio that was started anew have ended with it", () => {
    const newer: Job = { ...job, done: 4 };
    const ended: Job = { ...job, state: "done" };
    expect(newestOf(job, [newer])).toBe(newer);
    expect(newestOf(job, undefined)).toBe(job);
    expect(newestOf(ended, [])).toBe(ended);
    expect(newestOf(job, [])).toMatchObject({ id: "j1", state: "failed", problem: { code: "ended_with_studio" } });
  });
  it("that have ended go on no more, however late a message comes", () => {
    const ended: Job = { ...job, state: "done" };
    expect(withJob([ended], job)).toEqual([ended]);
    expect(withJob([job], ended)).toEqual([ended]);
    expect(withJob([ended], { ...job, id: "j2" }).map(({ id }) => id)).toEqual(["j2", "j1"]);
  });
  it("are found by their device while they go on", () => {
    expect(jobOf([job], "pi1")?.id).toBe("j1");
    expect(jobOf([job], "pi1", "links")).toBeNull();
    expect(jobOf([{ ...job, state: "cancelled" }], "pi1")).toBeNull();
    expect(jobOf(undefined, "pi1")).toBeNull();
  });
});
