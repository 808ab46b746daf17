/** Reports for tests. */
import type { RunReport } from "@/api/types";
import { energySample } from "@/live/samples";

export const reportSample: RunReport = {
  run: {
    id: "r1", deployment_id: "d1", state: "finished", source: "random", started_at: "2026-11-22T05:00:00Z", elapsed_s: 12, in_flight: null,
    submitted: 120, delivered: 120, lost: 0, frames_per_s: 10, latency_p50_s: 0.2, latency_p95_s: 0.3, problem: null, energy: { "pi-1": energySample }, recent: [],
  },
  model_id: "m1", model_name: "digits", plan_name: "Plan", network: null, deployment: null, prediction: null, prediction_missing: null,
  stages: [
    { stage: "a", device: "pi-1", frames: 100, lost: 0, compute_s: 0.04, queue_wait_s: 0.001, predicted_s: 0.05 },
    { stage: "b", device: "pi-2", frames: 50, lost: 0, compute_s: 0.12, queue_wait_s: null, predicted_s: null },
    { stage: "b2", device: "pi-3", frames: 50, lost: 0, compute_s: null, queue_wait_s: null, predicted_s: null },
  ],
  devices: [],
  points: [
    { elapsed_s: 1, frames_per_s: 8, latency_p50_s: null },
    { elapsed_s: 2, frames_per_s: 12, latency_p50_s: 0.2 },
  ],
};
