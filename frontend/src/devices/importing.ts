/** Adding many devices one after the other: what became of each. Pure. */
import type { ProblemOut } from "@/api/client";
import type { InventoryEntry } from "@/api/types";
import { plural } from "@/app/format";

export type EntryState =
  | { kind: "left"; why: string }
  | { kind: "wrong"; problem: ProblemOut }
  | { kind: "waiting"; trusted: string | null }
  | { kind: "adding" }
  | { kind: "added"; words: string }
  | { kind: "asks"; problem: ProblemOut }
  | { kind: "failed"; problem: ProblemOut };

export interface ImportRow {
  entry: InventoryEntry;
  chosen: boolean;
  state: EntryState;
}

export function rowsOf(entries: readonly InventoryEntry[]): ImportRow[] {
  return entries.map((entry) => {
    if (entry.problem !== null || entry.device === null) {
      const problem = entry.problem ?? { code: "no_device", message: `${entry.name} cannot be registered`, next_step: "Look at its entry in the file.", details: {} };
      return { entry, chosen: false, state: { kind: "wrong", problem } };
    }
    if (entry.registered) return { entry, chosen: false, state: { kind: "left", why: "registered already" } };
    return { entry, chosen: true, state: { kind: "waiting", trusted: null } };
  });
}

export const withState = (rows: readonly ImportRow[], at: number, state: EntryState): ImportRow[] => rows.map((row, i) => (i === at ? { ...row, state } : row));

/** The place of the next row to add; -1 when there is none. */
export const nextOf = (rows: readonly ImportRow[]): number => rows.findIndex(({ chosen, state }) => chosen && state.kind === "waiting");

export const canChoose = ({ state }: ImportRow): boolean => state.kind === "waiting";

/** `3 added, 1 asks about its host key, 1 failed` */
export function summaryOf(rows: readonly ImportRow[]): string {
  const count = (kind: EntryState["kind"]) => rows.filter(({ state }) => state.kind === kind).length;
  const left = rows.filter(({ chosen, state }) => chosen && state.kind === "waiting").length;
  const asks = count("asks");
  const parts = [
    `${count("added")} added`,
    ...(asks > 0 ? [`${asks} ${asks === 1 ? "asks" : "ask"} about a host key`] : []),
    ...(count("failed") > 0 ? [`${count("failed")} failed`] : []),
    ...(left > 0 ? [`${left} to go`] : []),
    ...(count("wrong") > 0 ? [`${plural(count("wrong"), "entry")} not usable`.replace("entrys", "entries")] : []),
  ];
  return parts.join(", ");
}
