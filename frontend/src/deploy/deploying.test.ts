import { describe, expect, it } from "vitest";
import type { Deployment, PlanProblem } from "@/api/types";
import { deployReason, pickDeployments } from "./deploying";

const deployment = (id: string, state: Deployment["state"], model_id = "m"): Deployment => ({
  id, state, model_id, epoch: 1, model_name: "", plan_name: null, plan: { version: 2, network: { sha256: "", name: "", simplified: false, dims: {} }, placement: {}, shards: [], blocks: {}, resources: {}, replicas: {}, codecs: [], max_change: 0, micro_batch: 1, name: "", notes: "" },
  stages: [], cuts: [], devices: [], created_at: "", deploy_s: null, problem: null, retry_until: null, notes: [], plaintext: false, run: null,
});

describe("deployments of a model", () => {
  it("tell what runs and what is on its way, of this model alone", () => {
    const list = [deployment("4", "running", "other"), deployment("3", "deploying"), deployment("2", "running"), deployment("1", "stopped")];
    const { running, active, last } = pickDeployments(list, "m");
    expect([running?.id, active?.id, last?.id]).toEqual(["2", "3", "3"]);
  });
  it("a failed newer one leaves the older running", () => {
    const { running, active, last } = pickDeployments([deployment("2", "failed"), deployment("1", "running")], "m");
    expect([running?.id, active, last?.id]).toEqual(["1", null, "2"]);
  });
});

describe("why a plan cannot be deployed", () => {
  const problem = (severity: PlanProblem["severity"]): PlanProblem => ({ code: "c", severity, message: "too large", layer: null, device: "pi1" });
  it.each([
    ["no device is there", 0, 3, [], true, false, "Add a device first."],
    ["layers are unplaced", 2, 1, [], true, false, "1 layer has no device."],
    ["the check is on its way", 2, 0, [], false, false, "Checking the plan…"],
    ["the check failed", 2, 0, [], false, true, "The plan could not be checked."],
    ["the report holds an error", 2, 0, [problem("warning"), problem("error")], true, false, "too large"],
  ] as const)("%s", (_, devices, unplaced, problems, current, failed, reason) => {
    expect(deployReason(devices, unplaced, problems, current, failed)).toBe(reason);
  });
  it("a warning is no reason", () => {
    expect(deployReason(1, 0, [problem("warning")], true, false)).toBeNull();
  });
});
