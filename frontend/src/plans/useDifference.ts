/** What a card shows of the comparison: whether its layers are elsewhere in the other plan, and where. */
import { useMemo } from "react";
import { differing } from "@/plan/compare";
import { useShownPlan } from "@/plan/preview";
import { sharesOfLayers, type DeviceShare } from "@/plan/shares";
import { useComparing } from "./comparing";

export interface CardDifference {
  /** Of its layers, how many differ. */
  count: number;
  /** Where the other plan has them all. */
  other: readonly DeviceShare[];
  name: string;
}

/** Null: nothing is compared. `same`: the card's layers are alike in both plans. */
export function useDifference(layers: readonly string[]): CardDifference | "same" | null {
  const other = useComparing((state) => state.other);
  const count = useShownPlan((content) => (other === null ? 0 : differing(layers, content, other.content).length));
  return useMemo(() => {
    if (other === null) return null;
    return count === 0 ? "same" : { count, other: sharesOfLayers(other.content, layers), name: other.name };
  }, [other, count, layers]);
}
