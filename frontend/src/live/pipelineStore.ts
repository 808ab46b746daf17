/** The running deployment as the picture needs it: made anew twice a second at most, however often figures come. */
import { useEffect } from "react";
import { useStore } from "zustand";
import { createStore } from "zustand/vanilla";
import type { Deployment } from "@/api/types";
import type { Prediction } from "@/planner/types";
import { bottleneckOf, pipelineNow, type Load, type PipelineNow } from "./pipeline";
import { liveStore } from "./store";

interface PipelineState {
  now: PipelineNow | null;
  bottleneck: Load | null;
}

const NOTHING: PipelineState = { now: null, bottleneck: null };
const EVERY_MS = 500;

export const pipelineStore = createStore<PipelineState>()(() => NOTHING);
export const usePipeline = <T>(select: (state: PipelineState) => T): T => useStore(pipelineStore, select);

/** Keep the store with what the deployment does for as long as it runs. */
export function usePipelineFeed(deployment: Deployment | null, prediction: Prediction | null): void {
  const told = deployment?.state === "running" ? deployment : null;
  useEffect(() => {
    if (told === null) return;
    let timer: ReturnType<typeof setTimeout> | undefined;
    const make = () => {
      timer = undefined;
      const { latest, runs } = liveStore.getState();
      const run = Object.values(runs).find(({ deployment_id }) => deployment_id === told.id) ?? told.run;
      const now = pipelineNow(told, latest, run, prediction, Date.now());
      pipelineStore.setState({ now, bottleneck: bottleneckOf(now, prediction !== null) });
    };
    make();
    const off = liveStore.subscribe((state, before) => {
      if (state.latest !== before.latest || state.runs !== before.runs) timer ??= setTimeout(make, EVERY_MS);
    });
    return () => {
      off();
      clearTimeout(timer);
    };
  }, [told, prediction]);
  useEffect(() => {
    if (told === null) return;
    return () => pipelineStore.setState(NOTHING);
  }, [told]);
}
