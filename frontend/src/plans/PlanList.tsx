/** The network's saved plans: open one, make one, write notes, lay them side by side. */
import { Button } from "@mantine/core";
import { useQuery } from "@tanstack/react-query";
import { IconLayoutColumns, IconPlus } from "@tabler/icons-react";
import { useMemo, useRef, type KeyboardEvent } from "react";
import type { Deployment, Model } from "@/api/types";
import { plural } from "@/app/format";
import { tellProblem } from "@/app/notify";
import type { Network } from "@/graph/network";
import { useNow } from "@/live/store";
import { sameForm } from "@/plan/content";
import { countDifferences, countSettings } from "@/plan/divisions";
import { exportPlan } from "@/plan/exportPlan";
import { planStore, usePlan } from "@/plan/store";
import { useSync } from "@/plan/sync";
import { useKeeper } from "@/plan/useKeeper";
import { duplicate, contentNow, newPlan, rename } from "./actions";
import { compareWith, RUNNING, savedKey } from "./comparing";
import { readFile } from "./importing";
import { Notes } from "./Notes";
import { PlanFileInput } from "./PlanFileInput";
import { PlanRow } from "./PlanRow";
import { plansQuery } from "./queries";
import { removePlan } from "./removing";
import { freeName, subjectsOf } from "./subjects";
import { closePlans, useSwitcher } from "./switcherStore";
import { useForetold } from "./useSubjects";

interface PlanListProps {
  model: Model;
  network: Network;
  fleet: string;
  running: Deployment | null;
}

/** Predictions that are asked for when the list opens; each costs the studio some time. */
const FORETOLD = 12;

export default function PlanList({ model, network, fleet, running }: PlanListProps) {
  const keeper = useKeeper();
  const now = useNow();
  const open = useSync(({ plan }) => plan?.id ?? null);
  const enterAt = useSwitcher((state) => state.enterAt);
  const { data, error, isPending } = useQuery(plansQuery(model.id));
  const plans = useMemo(() => data ?? [], [data]);
  const mine = plans.filter(({ plan }) => sameForm(plan.network, model));
  const subjects = useMemo(() => subjectsOf(model, null, plans, null, []).slice(0, FORETOLD), [model, plans]);
  const foretold = useForetold(model, network, subjects, fleet);
  const input = useRef<HTMLInputElement>(null);
  const names = plans.map(({ name }) => name);
  const then = (work: Promise<unknown>, close = true) => void work.then(() => close && closePlans(), tellProblem);
  const compare = (keys: readonly string[]) => {
    compareWith(keys);
    closePlans();
  };
  const importFile = async (file: File) => {
    // What is asked about the file stands where the list is.
    closePlans();
    const content = await readFile(file, model);
    if (content) await keeper.createFrom(content, freeName(content.rest.name || file.name.replace(/(\.plan)?\.json$/, "") || "Plan", names));
  };
  return (
    <>
      <header>
        <h2>Plans</h2>
        <Button size="compact-xs" variant="default" leftSection={<IconPlus size={12} />} onClick={() => then(newPlan(keeper, names))} data-testid="plan-new">
          New
        </Button>
        <Button size="compact-xs" variant="default" onClick={() => then(duplicate(keeper, planStore.getState().content, mine.find(({ id }) => id === open)?.name ?? "Plan", names))} data-testid="plan-duplicate">
          Duplicate
        </Button>
        <Button size="compact-xs" variant="default" onClick={() => input.current?.click()}>
          Import…
        </Button>
        <PlanFileInput input={input} testId="plan-import-new" take={(file) => then(importFile(file))} />
        <span className="header-space" />
        <Button size="compact-xs" leftSection={<IconLayoutColumns size={12} />} onClick={() => compare(mine.filter(({ id }) => id !== open).slice(0, 1).map(({ id }) => savedKey(id)))} title="Figures in a table, differences on the graph" data-testid="plans-compare">
          Side by side
        </Button>
      </header>
      <RunningNote running={running} model={model} compare={() => compare([RUNNING])} />
      {error && <p className="plans-none">The list of plans cannot be had now: {error.message}</p>}
      {!error && plans.length === 0 && <p className="plans-none">{isPending ? "Looking for plans…" : "No plan is saved yet. The first edit saves one."}</p>}
      <ul className="plans-list" onKeyDown={walkRows} data-testid="plans-list">
        {plans.map((plan) => (
          <PlanRow
            key={plan.id}
            plan={plan}
            isOpen={plan.id === open}
            isOther={!mine.includes(plan)}
            foretold={foretold.find(({ subject }) => subject.saved?.id === plan.id) ?? null}
            now={now}
            actions={{
              open: () => then(keeper.switchTo(plan.id)),
              rename: (name) => then(rename(keeper, plan, name), false),
              duplicate: () => then(duplicate(keeper, contentNow(plan), plan.name, names)),
              compare: () => compare([savedKey(plan.id)]),
              save: () => exportPlan(model, contentNow(plan), plan.name),
              remove: () => then(removePlan(keeper, model, plan, plans), false),
            }}
          />
        ))}
      </ul>
      <Notes enter={enterAt === "notes"} />
    </>
  );
}

/** How the open plan stands to what runs now. */
function RunningNote({ running, model, compare }: { running: Deployment | null; model: Model; compare: () => void }) {
  const content = usePlan((whole) => whole);
  if (running?.state !== "running" || !sameForm(running.plan.network, model)) return null;
  const changes = countDifferences(content, running.plan) + countSettings(content.rest, running.plan);
  return (
    <p className="plans-running" data-testid="plans-running">
      {changes === 0 ? "The open plan is what runs now." : `The open plan differs from what runs now: ${plural(changes, "change")}.`}
      {changes > 0 && (
        <button type="button" className="link" onClick={compare} data-testid="compare-running">
          Side by side
        </button>
      )}
    </p>
  );
}

/** Up and down go from plan to plan. */
function walkRows(event: KeyboardEvent<HTMLUListElement>): void {
  if (event.key !== "ArrowDown" && event.key !== "ArrowUp") return;
  if (event.target instanceof HTMLInputElement) return;
  const rows = [...event.currentTarget.querySelectorAll<HTMLElement>(".plan-row-main")];
  const here = rows.findIndex((row) => row.closest("li")?.contains(document.activeElement));
  rows[Math.min(Math.max(here + (event.key === "ArrowDown" ? 1 : -1), 0), rows.length - 1)]?.focus();
  event.preventDefault();
}
