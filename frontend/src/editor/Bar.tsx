/** A card's bar: how its number compares with the largest among the cards. Nothing where it is not known. */
import { useMemo } from "react";
import { at, type NetworkNode } from "@/graph/network";
import { useShownPlan } from "@/plan/preview";
import { useCosts } from "@/profiles/costs";
import { useScene } from "./context";
import { describeMeasure, measuredOf } from "./measure";
import { useView } from "./view";

export interface BarValue {
  /** From 0 to 1, as drawn. */
  share: number;
  told: string;
}

export function useBar(nodes: readonly number[]): BarValue {
  const { network, most } = useScene();
  const measure = useView((view) => view.measure);
  const costs = useCosts();
  const layers = useMemo((): NetworkNode[] => nodes.map((node) => at(network.nodes, node)), [nodes, network]);
  const value = useShownPlan((content) => measuredOf(layers, measure, content, costs));
  // By the root, so that small ones are seen beside the largest.
  const share = value === null || most[measure] <= 0 ? 0 : Math.min(1, Math.sqrt(value / most[measure]));
  return { share, told: describeMeasure(value, measure) };
}

export function Bar({ share }: Pick<BarValue, "share">) {
  return (
    <span className="card-bar">
      <span style={{ width: `${share * 100}%` }} />
    </span>
  );
}
