/** What the last edit changed, or what the one in the hand would change: old beside new. Filled in one place, read in many. */
import { useStore } from "zustand";
import { createStore } from "zustand/vanilla";
import type { Figures } from "@/plan/figures";

export interface Outcome {
  /** The edit. */
  label: string;
  /** Null: nothing is known of what was. */
  before: Figures | null;
  now: Figures;
  /** Whether the studio has said it; until then it is estimated here, or what was known last. */
  settled: boolean;
  /** Whether it is only looked at. */
  isTrial: boolean;
  /** Another number for each edit; 0 until the first one. */
  edit: number;
}

export const outcomeStore = createStore<{ outcome: Outcome | null }>()(() => ({ outcome: null }));
export const useOutcome = (): Outcome | null => useStore(outcomeStore, ({ outcome }) => outcome);
export const useOutcomePart = <T>(select: (outcome: Outcome | null) => T): T => useStore(outcomeStore, ({ outcome }) => select(outcome));
