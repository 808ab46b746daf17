/** Asking the studio whether layers can be divided so, and doing it only when nothing new is wrong. */
import { useRef, useState } from "react";
import { asProblem, type Problem, type ProblemOut } from "@/api/client";
import type { Model, PlanProblem, Sharding } from "@/api/types";
import { plural } from "@/app/format";
import { apply } from "@/plan/delta";
import { wholeLayer } from "@/plan/divisions";
import { newErrors } from "@/plan/split";
import { edit, planDivision, planStore } from "@/plan/store";
import { checkPlan } from "@/plan/useReport";
import { flash, viewStore } from "./view";

export interface Split {
  busy: boolean;
  problem: Problem | ProblemOut | null;
  /** Forget what was refused: something else is asked for now. */
  reset: () => void;
  send: (sharding: Sharding, done: () => void) => void;
}

const spoken = ({ code, message, next_step }: PlanProblem): ProblemOut => ({ code, message, next_step: next_step ?? "Choose other layers, another way to split or other devices.", details: {} });

export function useSplit(model: Model): Split {
  const [busy, setBusy] = useState(false);
  const [problem, setProblem] = useState<Problem | ProblemOut | null>(null);
  const asked = useRef(0);

  const reset = () => {
    asked.current += 1;
    setBusy(false);
    setProblem(null);
    viewStore.setState({ refused: null });
  };
  const refuse = (error: PlanProblem) => {
    setProblem(spoken(error));
    const known = new Set(model.layers.map(({ name }) => name));
    const layer = error.layer == null ? null : wholeLayer(error.layer, (name) => known.has(name));
    viewStore.setState({ refused: layer === null ? null : { layer, message: error.message } });
  };
  const send = (sharding: Sharding, done: () => void) => {
    reset();
    const delta = planDivision(sharding);
    if (!delta) {
      done();
      return;
    }
    const mine = asked.current;
    const before = planStore.getState().content;
    setBusy(true);
    Promise.all([checkPlan(model, before), checkPlan(model, apply(before, delta))]).then(
      ([now, then]) => {
        if (asked.current !== mine) return;
        setBusy(false);
        const [error] = newErrors(now.problems, then.problems);
        if (error) {
          refuse(error);
          return;
        }
        if (planStore.getState().content !== before) {
          send(sharding, done);
          return;
        }
        edit(delta);
        flash(sharding.devices[0] ?? "", `${plural(sharding.layers.length, "layer")} split in ${sharding.devices.length}`);
        done();
      },
      (error: unknown) => {
        if (asked.current !== mine) return;
        setBusy(false);
        setProblem(asProblem(error));
      },
    );
  };
  return { busy, problem, reset, send };
}
