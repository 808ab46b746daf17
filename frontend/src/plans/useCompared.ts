/** The plans that lie side by side: the open one first; and how the graph differs from the one that it is compared with. */
import { useEffect, useMemo } from "react";
import type { Deployment, Model } from "@/api/types";
import type { Network } from "@/graph/network";
import { differences, differingSettings, type Difference } from "@/plan/differences";
import type { Content } from "@/plan/content";
import { usePlan } from "@/plan/store";
import { setOther, useComparing } from "./comparing";
import type { Subject } from "./subjects";
import { useForetold, useSubjects, type Foretold } from "./useSubjects";

export interface Compared {
  /** What is chosen and still there. */
  rows: readonly Foretold[];
  /** What could be added. */
  others: readonly Subject[];
  loaded: boolean;
}

export function useCompared(model: Model, network: Network, running: Deployment | null, fleet: string): Compared {
  const { subjects, loaded } = useSubjects(model, running, fleet);
  const chosen = useComparing((state) => state.chosen);
  const against = useComparing((state) => state.against);
  const [picked, others] = useMemo(() => {
    const byKey = new Map(subjects.map((subject) => [subject.key, subject]));
    return [chosen.flatMap((key) => byKey.get(key) ?? []), subjects.filter(({ key }) => !chosen.includes(key))];
  }, [subjects, chosen]);
  const rows = useForetold(model, network, picked, fleet);
  const other = picked.find(({ key }) => key === against) ?? null;
  const name = other?.name ?? null;
  const content = other?.content ?? null;
  useEffect(() => {
    setOther(name === null || content === null ? null : { name, content });
  }, [name, content]);
  return { rows, others, loaded };
}

export interface Differences {
  found: readonly Difference[];
  layers: number;
  settings: readonly string[];
}

export const layerNames = (network: Network): string[] => network.nodes.filter(({ kind }) => kind === "layer").map(({ name }) => name);

/** How the open plan differs from another one. */
export function useDifferences(network: Network, other: Content | null): Differences {
  const content = usePlan((whole) => whole);
  const names = useMemo(() => layerNames(network), [network]);
  return useMemo(() => {
    if (other === null) return { found: [], layers: 0, settings: [] };
    const found = differences(names, content, other);
    return { found, layers: found.reduce((sum, { layers }) => sum + layers.length, 0), settings: differingSettings(content, other) };
  }, [names, content, other]);
}
