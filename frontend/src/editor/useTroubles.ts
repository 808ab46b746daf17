import { useEffect } from "react";
import type { PlanReport } from "@/api/types";
import type { Network } from "@/graph/network";
import { troublesOf } from "./troubles";
import { viewStore } from "./view";

/** Mark the layers that the studio's report speaks of. */
export function useTroubles(network: Network, report: PlanReport | null): void {
  useEffect(() => {
    viewStore.setState({ troubles: troublesOf(report?.problems ?? [], (name) => network.layerIndex.has(name)) });
  }, [network, report]);
}
