/** Deploying the plan, and whether its sheet is open. */
import { useState } from "react";
import { asProblem, call, client, type Problem } from "@/api/client";
import { deploymentsQuery, queryClient, rememberDeployment } from "@/api/queries";
import type { Deployment, Model, Plan } from "@/api/types";
import { planDocument } from "@/plan/content";
import { planStore } from "@/plan/store";
import { syncStore } from "@/plan/sync";
import type { Deployments } from "./deploying";

export interface Deploy {
  /** The deployment that the sheet shows. */
  shown: Deployment | null;
  busy: boolean;
  problem: Problem | null;
  start: () => void;
  /** Put the plan there although somebody else has deployed meanwhile. */
  overwrite: () => void;
  /** Try a device that failed again, or all; where nothing waits for that any more, the whole plan. */
  retry: (deployment: Deployment, device: string | null) => void;
  cancel: () => void;
  stop: (deployment: Deployment) => void;
  open: () => void;
  close: () => void;
}

/** What failed is shown to whoever comes for so long; later it is history. */
const NEWS_MS = 15 * 60_000;

/** Once it runs, the picture belongs to the frames: the sheet is there for who asks for it. */
export function useDeploy(model: Model, { active, last }: Deployments): Deploy {
  const [opened, setOpened] = useState<string | null>(null);
  const [dismissed, setDismissed] = useState<string | null>(null);
  const [busy, setBusy] = useState(false);
  const [problem, setProblem] = useState<Problem | null>(null);
  const [came] = useState(() => Date.now());
  const isNews = last !== null && (last.state === "failed" || last.state === "cancelled") && (last.id === opened || (last.state === "failed" && Date.parse(last.created_at) + (last.run?.elapsed_s ?? 0) * 1000 > came - NEWS_MS));
  const asked = last !== null && last.id === opened && (last.state === "running" || last.state === "stopping");
  const candidate = active ?? (isNews || asked ? last : null);
  // Once it runs nobody has asked for its sheet yet.
  const [standing, setStanding] = useState<string | null>(null);
  if (last && last.state === "running" && standing !== last.id) {
    setStanding(last.id);
    if (opened === last.id) setOpened(null);
  }
  if (active && opened !== active.id) setOpened(active.id);

  const settle = (work: Promise<Deployment>, then: (deployment: Deployment) => void) => {
    setBusy(true);
    setProblem(null);
    work.then(
      (deployment) => {
        rememberDeployment(deployment);
        then(deployment);
      },
      (error: unknown) => {
        setProblem(asProblem(error));
        void queryClient.invalidateQueries({ queryKey: deploymentsQuery.queryKey });
      },
    ).finally(() => setBusy(false));
  };
  const deploy = (plan: Plan, name: string | null, seen: number | null) =>
    settle(call(client.POST("/api/deployments", { body: { model_id: model.id, plan, seen_epoch: seen, wait_for_retry: true, plan_name: name } })), ({ id }) => {
      setOpened(id);
      setDismissed(null);
    });
  const here = (seen: number | null) => deploy(planDocument(model, planStore.getState().content), syncStore.getState().plan?.name ?? null, seen);
  return {
    shown: candidate && candidate.id !== dismissed ? candidate : null,
    busy,
    problem,
    // Of none that is known nobody can say whether another came after it.
    start: () => here(last?.epoch ?? null),
    overwrite: () => here(null),
    retry: (deployment: Deployment, device: string | null) => {
      const { id, state, plan, plan_name: name, retry_until: waits } = deployment;
      if (state === "deploying" && waits !== null) settle(call(client.POST("/api/deployments/{deployment_id}/retry", { params: { path: { deployment_id: id }, query: device === null ? {} : { device } } })), () => undefined);
      else deploy(plan, name, null);
    },
    cancel: () => {
      if (active) settle(call(client.POST("/api/deployments/{deployment_id}/cancel", { params: { path: { deployment_id: active.id } } })), () => undefined);
    },
    stop: ({ id }) => settle(call(client.POST("/api/deployments/{deployment_id}/stop", { params: { path: { deployment_id: id } } })), () => undefined),
    open: () => {
      setOpened(last?.id ?? null);
      setDismissed(null);
      setProblem(null);
    },
    close: () => {
      setDismissed(candidate?.id ?? null);
      setOpened(null);
      setProblem(null);
    },
  };
}
