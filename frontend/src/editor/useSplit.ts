/** Asking the studio whether layers can be divided so, and doing it only when nothing new is wrong. */
import { useEffect, useRef, useState } from "react";
import { asProblem, type Problem, type ProblemOut } from "@/api/client";
import type { Model, PlanProblem, Sharding } from "@/api/types";
import { plural } from "@/app/format";
import { tell, tellProblem } from "@/app/notify";
import { useStays } from "@/app/useStays";
import { apply } from "@/plan/delta";
import { wholeLayer } from "@/plan/divisions";
import { newErrors } from "@/plan/split";
import { edit, planDivision, planStore } from "@/plan/store";
import { openPlanStays } from "@/plan/sync";
import { checkPlan } from "@/plan/useReport";
import { endTrial, tryOut, useHand } from "./hand";
import { flash, viewStore } from "./view";

export interface Split {
  busy: boolean;
  /** Why it cannot be: said as soon as the studio has looked at it, before anything is pressed. */
  problem: Problem | ProblemOut | null;
  /** Forget what was refused or is being asked: something else is wanted now, or nothing. */
  reset: () => void;
  /** Divide as soon as the studio has agreed, even where the form is closed by then, as by a press beside it. */
  send: (sharding: Sharding, done: () => void) => void;
}

const spoken = ({ code, message, next_step }: PlanProblem): ProblemOut => ({ code, message, next_step: next_step ?? "Choose other layers, another way to split or other devices.", details: {} });

/** The layer of the network that a problem speaks of. */
function layerOf(model: Model, { layer }: PlanProblem): string | null {
  const known = new Set(model.layers.map(({ name }) => name));
  return layer == null ? null : wholeLayer(layer, (name) => known.has(name));
}

/** Show on the cards what would be, and have the studio look at it: `sharding` is what is asked for now, null where it is not complete. */
function useLook(model: Model, sharding: Sharding | null): PlanProblem | null {
  const spelled = sharding === null ? null : JSON.stringify(sharding);
  useEffect(() => {
    const asked = spelled === null ? null : (JSON.parse(spelled) as Sharding);
    if (asked === null) endTrial();
    else tryOut(planDivision(asked), asked.devices);
    return endTrial;
  }, [spelled]);
  const problem = useHand(({ trial }) => trial?.verdict.problem ?? null);
  useEffect(() => {
    if (problem === null) return;
    const layer = layerOf(model, problem);
    if (layer !== null) viewStore.setState({ refused: { layer, message: problem.message } });
    return () => viewStore.setState({ refused: null });
  }, [model, problem]);
  return problem;
}

export function useSplit(model: Model, sharding: Sharding | null): Split {
  const [busy, setBusy] = useState(false);
  const [problem, setProblem] = useState<Problem | ProblemOut | null>(null);
  const asked = useRef(0);
  const stays = useStays();
  const seen = useLook(model, sharding);

  const reset = () => {
    asked.current += 1;
    setBusy(false);
    setProblem(null);
    viewStore.setState({ refused: null });
  };
  const refuse = (error: PlanProblem) => {
    const said = spoken(error);
    if (!stays()) {
      tell(`Not split: ${said.message}`, said.next_step);
      return;
    }
    setProblem(said);
    const layer = layerOf(model, error);
    viewStore.setState({ refused: layer === null ? null : { layer, message: error.message } });
  };
  const send = (wanted: Sharding, done: () => void) => {
    reset();
    const delta = planDivision(wanted);
    if (!delta) {
      done();
      return;
    }
    const mine = asked.current;
    const before = planStore.getState().content;
    const isOpen = openPlanStays();
    const unwanted = () => asked.current !== mine || !isOpen();
    setBusy(true);
    Promise.all([checkPlan(model, before), checkPlan(model, apply(before, delta))]).then(
      ([now, then]) => {
        if (unwanted()) return;
        setBusy(false);
        const [error] = newErrors(now.problems, then.problems);
        if (error) {
          refuse(error);
          return;
        }
        if (planStore.getState().content !== before) {
          send(wanted, done);
          return;
        }
        edit(delta);
        flash(wanted.devices[0] ?? "", `${plural(wanted.layers.length, "layer")} split in ${wanted.devices.length}`);
        if (stays()) done();
      },
      (error: unknown) => {
        if (unwanted()) return;
        setBusy(false);
        if (stays()) setProblem(asProblem(error));
        else tellProblem(error);
      },
    );
  };
  return { busy, problem: problem ?? (seen && spoken(seen)), reset, send };
}
