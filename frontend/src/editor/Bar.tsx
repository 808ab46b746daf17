/** A card's bar: how its number compares with the largest among the cards. Nothing where it is not known. */
import { useMemo, type CSSProperties } from "react";
import { at, type NetworkNode } from "@/graph/network";
import { useShownPlan } from "@/plan/preview";
import { useCosts } from "@/profiles/costs";
import { useScene } from "./context";
import { describeMeasure, measuredOf, shareOf, tellMeasure } from "./measure";
import { useView, type Measure } from "./view";

export interface BarValue {
  /** From 0 to 1, as drawn. */
  share: number;
  told: string;
  /** The value in short where cards are coloured by it. */
  heat: string | null;
}

export const barOf = (value: number | null, measure: Measure, heat: boolean, most: number): BarValue => ({ share: shareOf(value, most), told: describeMeasure(value, measure), heat: heat ? tellMeasure(value, measure) : null });

export function useBar(nodes: readonly number[]): BarValue {
  const { network, most } = useScene();
  const measure = useView((view) => view.measure);
  const heat = useView((view) => view.heat);
  const costs = useCosts();
  const layers = useMemo((): NetworkNode[] => nodes.map((node) => at(network.nodes, node)), [nodes, network]);
  const value = useShownPlan((content) => measuredOf(layers, measure, content, costs));
  return barOf(value, measure, heat, most[measure]);
}

/** For a card's style: how warm it is. */
export const heatStyle = ({ share, heat }: BarValue): CSSProperties | undefined => (heat === null ? undefined : ({ "--heat": `${Math.round(share * 100)}%` } as CSSProperties));

export function Bar({ share }: Pick<BarValue, "share">) {
  return (
    <span className="card-bar">
      <span style={{ width: `${share * 100}%` }} />
    </span>
  );
}
