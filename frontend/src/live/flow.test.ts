import { describe, expect, it } from "vitest";
import { describeLinks, describeTimes } from "./flow";
import { liveSample, stageSample as stage } from "./samples";

const live = { ...liveSample, stages: [stage, { ...stage, stage: "a-1" }] };

describe("the flow of frames in words", () => {
  it("adds the times of a device's stages, which a frame passes one after the other", () => {
    expect(describeTimes(live)).toBe("compute 40.0\u202fms · wait 2.00\u202fms");
  });
  it("says nothing of times when no frame passed", () => {
    expect(describeTimes({ ...live, stages: [{ ...stage, compute_s: null, queue_wait_s: null }] })).toBeNull();
  });
  it("tells the rates of the links", () => {
    expect(describeLinks(live)).toBe("in 1.50\u202fMB/s · out 2.00\u202fKB/s");
  });
});
