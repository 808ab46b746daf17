/** Live figures for tests. */
import type { DeviceLive, EnergyFigure, PowerFigure } from "@/api/types";

export const powerSample: PowerFigure = { power_w: 5, energy_j: 10, source: "model", scope: "model", method: "estimated", uncertainty: 0.2, coverage: 1 };

export const energySample: EnergyFigure = {
  gross_j: 10, net_j: 4, idle_w: 2, gross_per_frame_j: 0.25, net_per_frame_j: 0.1, window_s: 3, frames: 40,
  source: "model", scope: "model", method: "estimated", uncertainty: 0.2, coverage: 1,
};

export const stageSample: DeviceLive["stages"][number] = {
  deployment: "d", epoch: 1, stage: "a-0", frames_per_s: 10, compute_s: 0.02, queue_wait_s: 0.001, queued: 0, frames: 5, lost: 0,
  weight_bytes: 1000, activation_bytes: null, arena_bytes: null,
};

export const liveSample: DeviceLive = {
  device: "a", unix_s: 0, frames_per_s: 10, cpu_utilisation: 0.5, agent_cores: 0.5, usable_cores: 1,
  memory_bytes: 1, memory_unique_bytes: null, memory_peak_bytes: 1, memory_limit_bytes: 1, memory_model_bytes: 0, gpu_memory_bytes: null,
  received_bytes_per_s: 1_500_000, sent_bytes_per_s: 2000, power: powerSample, other_power: [], energy: energySample, thermal: null,
  stages: [stageSample], links: [], dropped: {},
};
