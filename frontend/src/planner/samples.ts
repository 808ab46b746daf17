/** Small predictions for tests. */
import type { Plan } from "@/api/types";
import { planDocument } from "@/plan/content";
import { content } from "@/plan/samples";
import type { Answer, DevicePrediction, Prediction, Search } from "./types";

export const planSample = (placement: Record<string, string>): Plan => planDocument({ name: "n", digest: "0".repeat(64) }, content(placement));

export const deviceSample: DevicePrediction = {
  device: "a", busy_s: 0.01, compute_s: 0.008, carry_s: 0.002, coding_s: 0, utilisation: 1, energy_j: 0.05, active_j: 0.02,
  memory_bytes: 90e6, memory_limit_bytes: 200e6, sent_bytes: 1000, received_bytes: 500, estimated: [],
};

export const predictionSample: Prediction = {
  throughput_per_s: 100, period_s: 0.01, latency_s: 0.02, bottleneck: { kind: "cores", name: "a", busy_s: 0.01, utilisation: 1 }, resources: [], stages: [],
  devices: [deviceSample], links: [], max_energy_j: 0.05, total_energy_j: 0.05, max_memory_bytes: 90e6, estimated: false, warnings: [],
};

export const answerSample: Answer = {
  plan: planSample({ conv1: "a" }), prediction: predictionSample, objective: "throughput", value: 100, bound: 103, gap: 0.03, proved: false,
  space: "whole layers", method: "chain", notes: [], contiguous_bound: null,
};

export const reaching = (throughput: number, energy: number | null, memory: number): Answer => ({
  ...answerSample,
  prediction: { ...predictionSample, throughput_per_s: throughput, max_energy_j: energy, max_memory_bytes: memory },
});

export const searchSample: Search = {
  job: "j", model_id: "m", kind: "pareto", answer: null, front: [reaching(200, 0.08, 90e6), reaching(100, 0.05, 60e6)],
  baselines: [
    { name: "best single device", plan: planSample({ conv1: "b" }), prediction: { ...predictionSample, throughput_per_s: 80, max_energy_j: 0.1, max_memory_bytes: 140e6 }, notes: [] },
    { name: "whole network on every device", plan: planSample({ conv1: "r" }), prediction: { ...predictionSample, throughput_per_s: 220, max_energy_j: 0.1, max_memory_bytes: 140e6 }, notes: [] },
  ],
  obstacles: [], elapsed_s: 1,
};
