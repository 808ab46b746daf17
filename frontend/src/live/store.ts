/** Live figures: written by the one WebSocket, read by charts; never part of the plan or of the view. */
import { useEffect, useState } from "react";
import { useStore } from "zustand";
import { createStore } from "zustand/vanilla";
import type { DeviceLive, Run } from "@/api/types";
import { own } from "@/app/own";
import { Series } from "./series";

export interface Latest {
  live: DeviceLive;
  /** By this page's clock, in milliseconds. */
  receivedAt: number;
}

interface LiveState {
  connection: "connecting" | "open" | "lost";
  /** Whether the studio came back with another version of this page. */
  outdated: boolean;
  latest: Readonly<Record<string, Latest>>;
  /** Newest state of each run that was heard of. */
  runs: Readonly<Record<string, Run>>;
}

export const STALE_AFTER_MS = 3000;

export const liveStore = createStore<LiveState>()(() => ({ connection: "connecting", outdated: false, latest: {}, runs: {} }));
export const useLive = <T>(select: (state: LiveState) => T): T => useStore(liveStore, select);

const series = new Map<string, Series>();

export function seriesOf(device: string): Series {
  let found = series.get(device);
  if (!found) series.set(device, (found = new Series()));
  return found;
}

/** Take what came together. */
export function recordLives(lives: readonly DeviceLive[], now = Date.now()): void {
  if (lives.length === 0) return;
  for (const live of lives) seriesOf(live.device).push(live);
  // Told again after the connection was lost, what is known already is as old as it was.
  const latestOf = (live: DeviceLive, known: Latest | undefined): Latest => (known?.live.unix_s === live.unix_s ? known : { live, receivedAt: now });
  liveStore.setState(({ latest }) => ({ latest: { ...latest, ...Object.fromEntries(lives.map((live) => [live.device, latestOf(live, own(latest, live.device))])) } }));
}

export function recordRun(run: Run): void {
  // A studio may run for weeks: only the run of each deployment that is newest is kept.
  liveStore.setState((state) => {
    const others = Object.entries(state.runs).filter(([, old]) => old.deployment_id !== run.deployment_id);
    return { runs: { ...Object.fromEntries(others.slice(-20)), [run.id]: run } };
  });
}

/** A deployment has no run, or its newest was removed. */
export function forgetRuns(deployment: string): void {
  const { runs } = liveStore.getState();
  const others = Object.entries(runs).filter(([, run]) => run.deployment_id !== deployment);
  if (others.length < Object.keys(runs).length) liveStore.setState({ runs: Object.fromEntries(others) });
}

export function forgetLive(device: string): void {
  series.delete(device);
  liveStore.setState((state) => ({ latest: Object.fromEntries(Object.entries(state.latest).filter(([name]) => name !== device)) }));
}

/** The page's clock, ticking once a second. */
export function useNow(active = true): number {
  const [now, setNow] = useState(() => Date.now());
  useEffect(() => {
    if (!active) return;
    const timer = setInterval(() => setNow(Date.now()), 1000);
    return () => clearInterval(timer);
  }, [active]);
  return now;
}
