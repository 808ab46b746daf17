/** Deployments of the opened model: which runs, which is on its way, and how the plan differs from it. */
import { useQuery } from "@tanstack/react-query";
import { deploymentsQuery } from "@/api/queries";
import type { Deployment, PlanProblem, Run } from "@/api/types";
import { plural } from "@/app/format";
import { useLive } from "@/live/store";

export interface Deployments {
  /** Stands on its devices (or is being stopped). */
  running: Deployment | null;
  /** On its way. */
  active: Deployment | null;
  /** The newest of this model, whatever became of it. */
  last: Deployment | null;
  loaded: boolean;
}

export function pickDeployments(list: readonly Deployment[] | undefined, modelId: string): Deployments {
  const mine = (list ?? []).filter((deployment) => deployment.model_id === modelId);
  return {
    running: mine.find(({ state }) => state === "running" || state === "stopping") ?? null,
    active: mine.find(({ state }) => state === "deploying") ?? null,
    last: mine[0] ?? null,
    loaded: list !== undefined,
  };
}

export function useDeployments(modelId: string): Deployments {
  const { data } = useQuery(deploymentsQuery);
  return pickDeployments(data, modelId);
}

/** The newest state of a deployment's run: from the live connection where that is newer. */
export function useRun(deployment: Deployment | null): Run | null {
  const heard = useLive((state) => Object.values(state.runs).find((run) => run.deployment_id === deployment?.id));
  const known = deployment?.run ?? null;
  if (!heard) return known;
  return known !== null && known.id !== heard.id && known.started_at > heard.started_at ? known : heard;
}

/** Why the plan cannot be deployed now; null when it can. */
export function deployReason(devices: number, unplaced: number, problems: readonly PlanProblem[], current: boolean, failed: boolean): string | null {
  if (devices === 0) return "Add a device first.";
  if (unplaced > 0) return `${plural(unplaced, "layer")} ${unplaced === 1 ? "has" : "have"} no device.`;
  if (failed) return "The plan could not be checked.";
  if (!current) return "Checking the plan…";
  const errors = problems.filter(({ severity }) => severity === "error");
  return errors[0] ? errors[0].message : null;
}
