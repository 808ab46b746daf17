/** How far a new studio is, and what its first steps do. */
import { useQuery } from "@tanstack/react-query";
import { useState } from "react";
import { asProblem, call, client, type Problem } from "@/api/client";
import { deploymentsQuery, devicesQuery, modelsQuery, rememberDeployment } from "@/api/queries";
import type { Device } from "@/api/types";
import { editorPath, onwards } from "@/app/router";
import { addLocalDevices } from "@/devices/addLocal";
import { addExample } from "@/models/doings";
import { keepFirstPlan } from "./firstPlan";
import { ENOUGH_DEVICES, progressOf, type Progress } from "./steps";

/** The one that is trained, comes with images and is made in a moment. */
const EXAMPLE = "digits";
const HIDDEN = "first-steps-hidden";

export type StepName = "network" | "devices" | "deploy";

export interface FirstStepsState extends Progress {
  shown: boolean;
  all: readonly Device[];
  busy: StepName | null;
  problem: { step: StepName; problem: Problem } | null;
  takeExample: () => void;
  addLocal: () => void;
  deploy: () => void;
  /** Null while nothing is there yet: then there is nothing else to show. */
  hide: (() => void) | null;
}

function wasHidden(): boolean {
  try {
    return localStorage.getItem(HIDDEN) !== null;
  } catch {
    return false;
  }
}

/** Place the network evenly, keep the plan, and begin to deploy it; the editor shows how it goes. */
async function placeAndDeploy(modelId: string, devices: string[]): Promise<void> {
  const path = { model_id: modelId };
  const goOn = onwards();
  const plan = await call(client.POST("/api/models/{model_id}/plans/spread", { params: { path }, body: { devices } }));
  const saved = await keepFirstPlan(modelId, plan);
  const deployment = await call(client.POST("/api/deployments", { body: { model_id: modelId, plan, plan_name: saved.name, wait_for_retry: true } }));
  rememberDeployment(deployment);
  goOn(editorPath(modelId, saved.id));
}

export function useFirstSteps(): FirstStepsState {
  const models = useQuery(modelsQuery).data;
  const devices = useQuery(devicesQuery).data;
  const deployments = useQuery(deploymentsQuery).data;
  const [hidden, setHidden] = useState(wasHidden);
  const [busy, setBusy] = useState<StepName | null>(null);
  const [problem, setProblem] = useState<FirstStepsState["problem"]>(null);
  const progress = progressOf(models ?? [], devices ?? []);
  const { model, usable } = progress;
  const loaded = models !== undefined && devices !== undefined && deployments !== undefined;
  const act = (step: StepName, work: () => Promise<unknown>) => {
    setBusy(step);
    setProblem(null);
    work()
      .catch((error: unknown) => setProblem({ step, problem: asProblem(error) }))
      .finally(() => setBusy(null));
  };
  return {
    ...progress,
    shown: loaded && deployments.length === 0 && !(hidden && models.length > 0),
    all: devices ?? [],
    busy,
    problem,
    takeExample: () => act("network", () => addExample(EXAMPLE)),
    addLocal: () => act("devices", () => addLocalDevices((devices ?? []).map(({ name }) => name), Math.max(ENOUGH_DEVICES - usable.length, 1))),
    deploy: () => {
      if (model) act("deploy", () => placeAndDeploy(model.id, usable.map(({ name }) => name)));
    },
    hide:
      model === null
        ? null
        : () => {
            setHidden(true);
            try {
              localStorage.setItem(HIDDEN, "yes");
            } catch {
              // Until the page is left.
            }
          },
  };
}
