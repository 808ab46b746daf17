/** Which plans are laid side by side with the open one, and whose differences the graph shows. Part of the view: not undone. */
import { useStore } from "zustand";
import { createStore } from "zustand/vanilla";
import type { Content } from "@/plan/content";

interface Comparing {
  open: boolean;
  /** What stands beside the open plan, by its key. */
  chosen: readonly string[];
  /** The one of them that the graph is compared with. */
  against: string | null;
  /** That one's plan, once it is known. */
  other: { name: string; content: Content } | null;
  /** The difference that was gone to last. */
  at: number | null;
}

const NOTHING: Comparing = { open: false, chosen: [], against: null, other: null, at: null };

export const comparingStore = createStore<Comparing>()(() => NOTHING);
export const useComparing = <T>(select: (state: Comparing) => T): T => useStore(comparingStore, select);

export const savedKey = (id: number): string => `saved ${id}`;
export const baselineKey = (name: string): string => `baseline ${name}`;
export const RUNNING = "running";

const unique = (keys: readonly string[]): string[] => [...new Set(keys)];

/** Lay plans beside the open one; the graph shows how it differs from the first of them. */
export function compareWith(keys: readonly string[]): void {
  comparingStore.setState(({ chosen, against }) => ({ open: true, chosen: unique([...chosen, ...keys]), against: keys[0] ?? against ?? chosen[0] ?? null, at: null }));
}

export function leaveOut(key: string): void {
  comparingStore.setState(({ chosen, against }) => {
    const left = chosen.filter((other) => other !== key);
    return { chosen: left, ...(against === key ? { against: left[0] ?? null, at: null } : {}) };
  });
}

/** Another plan is open now: the one that was takes its place beside it. */
export function exchange(opened: string, before: string): void {
  comparingStore.setState(({ chosen, against }) => {
    const place = (key: string) => (key === opened ? before : key);
    return { chosen: unique(chosen.map(place)), against: against === null ? null : place(against), at: null };
  });
}

export const showAgainst = (key: string | null): void => comparingStore.setState({ against: key, at: null });
export const setOther = (other: Comparing["other"]): void => comparingStore.setState({ other });
export const goneTo = (at: number): void => comparingStore.setState({ at });
export const closeComparison = (): void => comparingStore.setState(NOTHING);
