import { describe, expect, it } from "vitest";
import type { DeviceLive } from "@/api/types";
import { describeEnergy, describeLinks, describeTimes } from "./flow";

const stage = { stage: "a-0", frames_per_s: 10, compute_s: 0.02, queue_wait_s: 0.001, queued: 0, frames: 5, lost: 0 };
const live: DeviceLive = {
  device: "a", unix_s: 0, frames_per_s: 10, cpu_utilisation: 0.5, agent_cores: 0.5, usable_cores: 1, memory_bytes: 1,
  memory_peak_bytes: 1, memory_limit_bytes: 1, received_bytes_per_s: 1500000, sent_bytes_per_s: 2000,
  power: { power_w: 5, energy_j: 10, source: "declared", scope: "model", method: "estimated" },
  energy_per_frame_j: 0.25, stages: [stage, { ...stage, stage: "a-1" }], dropped: {},
};

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
  it("says that an estimate is one, and invents no energy without power", () => {
    expect(describeEnergy(live)).toBe("0.25\u202fJ per frame, estimated");
    expect(describeEnergy({ ...live, energy_per_frame_j: 0.0123 })).toBe("12.3\u202fmJ per frame, estimated");
    expect(describeEnergy({ ...live, power: null })).toBeNull();
    expect(describeEnergy({ ...live, energy_per_frame_j: null })).toBeNull();
  });
});
