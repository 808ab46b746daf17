/** How the plan under the hand stands to the one saved in the studio. */
import { useStore } from "zustand";
import { createStore } from "zustand/vanilla";
import type { Problem } from "@/api/client";
import type { SavedPlan } from "@/api/types";
import type { Content } from "./content";
import type { BrokenDraft, Draft } from "./drafts";
import type { Conflict } from "./merge";

/** `offline`: the studio does not answer, edits are kept in this browser. `gone`: the plan or its network was removed elsewhere. */
export type SyncState = "loading" | "saved" | "unsaved" | "saving" | "conflict" | "offline" | "failed" | "gone";

export type PlanInfo = Pick<SavedPlan, "id" | "name" | "revision" | "updated_at">;

export interface Sync {
  state: SyncState;
  problem: Problem | null;
  /** The saved plan that is open; null before the first edit of a network without any. */
  plan: PlanInfo | null;
  /** What both sides changed, with the plan as the other side has it. The other side is another window; to edits that were kept in this browser (`keptAt`), it is the studio. */
  conflict: { conflicts: readonly Conflict[]; theirs: Content; keptAt: number | null } | null;
  gone: "plan" | "model" | null;
  /** Drafts of plans that are no more, and such as cannot be read. */
  kept: readonly Draft[];
  broken: readonly BrokenDraft[];
  /** How many drafts of the open plan contradict what is done with it now, and come after that. */
  waiting: number;
  /** The plan that was asked for, where it is of another form of the network. */
  otherForm: SavedPlan | null;
  /** Whether this browser keeps what the studio does not have. */
  stored: boolean;
}

export const CLOSED: Sync = { state: "loading", problem: null, plan: null, conflict: null, gone: null, kept: [], broken: [], waiting: 0, otherForm: null, stored: true };

export const syncStore = createStore<Sync>()(() => CLOSED);
export const useSync = <T>(select: (sync: Sync) => T): T => useStore(syncStore, select);

/** Counts how often an editor was left. */
let left = 0;

/** The editor is left: no plan is open. */
export function closeSync(): void {
  left += 1;
  syncStore.setState(CLOSED);
}

/** Whether the plan that is open now still is, asked later: what comes from the studio after a while is not for another one. A new plan is saved meanwhile. */
export function openPlanStays(): () => boolean {
  const open = () => syncStore.getState().plan?.id ?? null;
  const asked = open();
  const before = left;
  return () => left === before && (asked === null || asked === open());
}

export const infoOf = ({ id, name, revision, updated_at }: SavedPlan): PlanInfo => ({ id, name, revision, updated_at });
