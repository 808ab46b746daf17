import { describe, expect, it } from "vitest";
import { describeLinks, describeTimes, describeTrouble } from "./flow";
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
  it("names links that are cut or stand still, and no others", () => {
    const link = { deployment: "d", link: "a-0->b-0", sends: true, frames_per_s: 0, bytes_per_s: 0, wire_bytes_per_s: 0, coding_s: null, connected: true, reconnects: 0, in_flight: 0, stalled_s: 0 };
    expect(describeTrouble({ links: [link, { ...link, stalled_s: 1 }] })).toEqual([]);
    expect(describeTrouble({ links: [{ ...link, stalled_s: 12, in_flight: 2 }] })).toEqual(["a-0 → b-0: nothing has moved for 12.0\u202fs, 2 frames on the way"]);
    expect(describeTrouble({ links: [{ ...link, connected: false, reconnects: 1 }] })).toEqual(["a-0 → b-0: not connected, broke 1 time"]);
    expect(describeTrouble({ links: [{ ...link, connected: false }, { ...link, deployment: "older", connected: false }] })).toHaveLength(1);
  });
});
