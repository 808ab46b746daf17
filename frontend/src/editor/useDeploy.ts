/** Deploying the plan, and whether its sheet is open. */
import { useState } from "react";
import { asProblem, call, client, type Problem } from "@/api/client";
import { rememberDeployment } from "@/api/queries";
import type { Deployment, Model, Plan, Run } from "@/api/types";
import { planDocument } from "@/plan/content";
import { planStore } from "@/plan/store";
import type { Deployments } from "./deploying";

interface Deploy {
  /** The deployment that the sheet shows. */
  shown: Deployment | null;
  busy: boolean;
  problem: Problem | null;
  start: () => void;
  retry: (plan: Plan) => void;
  cancel: () => void;
  open: () => void;
  close: () => void;
}

/** Once frames flow, the picture belongs to them: the sheet of the deployment they flow through goes away. */
export function useDeploy(model: Model, { active, last }: Deployments, run: Run | null): Deploy {
  // A deployment on its way is shown to whoever comes; an ended one only to who opened it or saw it end.
  const [opened, setOpened] = useState<string | null>(null);
  const [dismissed, setDismissed] = useState<string | null>(null);
  const [asked, setAsked] = useState<string | null>(null);
  const [busy, setBusy] = useState(false);
  const [problem, setProblem] = useState<Problem | null>(null);
  const over = last?.state === "stopped" || last?.state === "stopping" || (run?.state === "running" && run.deployment_id === last?.id && asked !== last.id);
  const candidate = active ?? (last && !over && (last.id === opened || last.state === "failed") ? last : null);
  if (active && opened !== active.id) setOpened(active.id);

  const settle = (work: Promise<Deployment>, then: (deployment: Deployment) => void) => {
    setBusy(true);
    setProblem(null);
    work.then(
      (deployment) => {
        rememberDeployment(deployment);
        then(deployment);
      },
      (error: unknown) => setProblem(asProblem(error)),
    ).finally(() => setBusy(false));
  };
  const deploy = (plan: Plan) =>
    settle(call(client.POST("/api/deployments", { body: { model_id: model.id, plan } })), ({ id }) => {
      setOpened(id);
      setDismissed(null);
    });
  return {
    shown: candidate && candidate.id !== dismissed ? candidate : null,
    busy,
    problem,
    start: () => deploy(planDocument(model, planStore.getState().content)),
    retry: deploy,
    cancel: () => {
      if (active) settle(call(client.POST("/api/deployments/{deployment_id}/cancel", { params: { path: { deployment_id: active.id } } })), () => undefined);
    },
    open: () => {
      setOpened(last?.id ?? null);
      setAsked(last?.id ?? null);
      setDismissed(null);
    },
    close: () => {
      setDismissed(candidate?.id ?? null);
      setAsked(null);
      setProblem(null);
    },
  };
}
