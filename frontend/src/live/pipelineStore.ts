/** The running deployment as the picture needs it: made anew twice a second at most, however often figures come. */
import { useEffect } from "react";
import { useStore } from "zustand";
import { createStore } from "zustand/vanilla";
import type { Deployment } from "@/api/types";
import type { Prediction } from "@/planner/types";
import { bottleneckOf, pipelineNow, type Load, type PipelineNow } from "./pipeline";
import { liveStore, STALE_AFTER_MS } from "./store";

interface PipelineState {
  now: PipelineNow | null;
  bottleneck: Load | null;
}

const NOTHING: PipelineState = { now: null, bottleneck: null };
const EVERY_MS = 500;

export const pipelineStore = createStore<PipelineState>()(() => NOTHING);
export const usePipeline = <T>(select: (state: PipelineState) => T): T => useStore(pipelineStore, select);

/** Fill the store with what a deployment does; returns what ends it. */
export function feedPipeline(told: Deployment, prediction: Prediction | null): () => void {
  let timer: ReturnType<typeof setTimeout> | undefined;
  let silence: ReturnType<typeof setTimeout> | undefined;
  const make = () => {
    clearTimeout(silence);
    timer = undefined;
    const { latest, runs } = liveStore.getState();
    const run = Object.values(runs).find(({ deployment_id }) => deployment_id === told.id) ?? told.run;
    const now = pipelineNow(told, latest, run, prediction, Date.now());
    pipelineStore.setState({ now, bottleneck: bottleneckOf(now, prediction !== null) });
    // Where nothing comes any more, as while the studio is away, nobody says that frames have stopped.
    if (now.stages.length > 0 || now.pairs.size > 0) silence = setTimeout(make, STALE_AFTER_MS + EVERY_MS);
  };
  make();
  const off = liveStore.subscribe((state, before) => {
    if (state.latest !== before.latest || state.runs !== before.runs) timer ??= setTimeout(make, EVERY_MS);
  });
  return () => {
    off();
    clearTimeout(timer);
    clearTimeout(silence);
  };
}

/** Keep the store with what the deployment does for as long as it runs. */
export function usePipelineFeed(deployment: Deployment | null, prediction: Prediction | null): void {
  const told = deployment?.state === "running" ? deployment : null;
  useEffect(() => (told === null ? undefined : feedPipeline(told, prediction)), [told, prediction]);
  // It is told anew often; what is drawn of it stays meanwhile.
  const id = told?.id ?? null;
  useEffect(() => {
    if (id === null) return;
    return () => pipelineStore.setState(NOTHING);
  }, [id]);
}
