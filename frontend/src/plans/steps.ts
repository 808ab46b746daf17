/** The rows of the history list, the newest first. Pure. */
import type { History, HistoryStep } from "@/plan/history";

export interface StepRow {
  label: string;
  /** When it was done; null for where the history begins. */
  at: number | null;
}

const rowOf = ({ delta, at }: HistoryStep): StepRow => ({ label: delta.label, at });

/** Row 0 is the farthest step; the present one is at `future.length`; the last one is where it all began. */
export function rowsOf({ past, future, dropped }: History): StepRow[] {
  const first = { label: dropped === 0 ? "As it was opened" : "As it was before these steps", at: null };
  return [...future.map(rowOf), ...past.map(rowOf).reverse(), first];
}
