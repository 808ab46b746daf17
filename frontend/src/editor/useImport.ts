/** Taking over a plan that the studio has read out of other tools' files. */
import { useState } from "react";
import { asProblem, type Problem } from "@/api/client";
import type { ImportedPlan } from "@/api/types";
import { plural } from "@/app/format";
import { useStays } from "@/app/useStays";
import { takeOver } from "@/plan/foreign";
import { planStore, replacePlan } from "@/plan/store";
import { flash } from "./view";

export interface Importing {
  busy: boolean;
  problem: Problem | null;
  reset: () => void;
  /** Say why a file cannot be read. */
  fail: (error: unknown) => void;
  send: (request: Promise<ImportedPlan>) => void;
  /** What a person should know of the plan that was taken over; null before that. */
  notes: readonly string[] | null;
}

/** One step that undo takes back; on failure, or when the dialog was closed meanwhile, the plan stays as it is. */
export function useImport(what: string, close: () => void): Importing {
  const [busy, setBusy] = useState(false);
  const [problem, setProblem] = useState<Problem | null>(null);
  const [notes, setNotes] = useState<readonly string[] | null>(null);
  const stays = useStays();
  const fail = (error: unknown) => setProblem(asProblem(error));
  const send = (request: Promise<ImportedPlan>) => {
    setBusy(true);
    setProblem(null);
    request
      .then(({ plan, notes: said }) => {
        if (!stays()) return;
        const { layers } = replacePlan(takeOver(plan, planStore.getState().content), `Import ${what}`);
        flash("", `${plural(layers, "layer")} changed`);
        if (said.length === 0) close();
        else setNotes(said);
      }, fail)
      .finally(() => setBusy(false));
  };
  return { busy, problem, reset: () => setProblem(null), fail, send, notes };
}
