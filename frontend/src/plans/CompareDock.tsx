/** Plans side by side below the graph, which shows how the open one differs from one of them. */
import { ActionIcon, Button, Menu } from "@mantine/core";
import { IconChevronDown, IconChevronUp, IconPlus, IconX } from "@tabler/icons-react";
import { useEffect, useMemo, useRef, useState } from "react";
import { useCommands, type Command } from "@/app/commands";
import { tellProblem } from "@/app/notify";
import { focusLayers } from "@/editor/showing";
import { flash } from "@/editor/view";
import { plural } from "@/app/format";
import { useRun } from "@/deploy/deploying";
import type { Network } from "@/graph/network";
import type { Deployment, Model } from "@/api/types";
import { differing } from "@/plan/compare";
import { estimate } from "@/plan/estimate";
import { replacePlan, usePlan } from "@/plan/store";
import { syncStore, useSync } from "@/plan/sync";
import { useKeeper } from "@/plan/useKeeper";
import type { Predicted } from "@/planner/usePrediction";
import { takenOver } from "@/planner/applied";
import { planDocument } from "@/plan/content";
import "@/styles/devices.css";
import { closeComparison, compareWith, exchange, leaveOut, RUNNING, savedKey, showAgainst, useComparing } from "./comparing";
import { CompareTable, type CompareRow } from "./CompareTable";
import { DifferenceBar } from "./DifferenceBar";
import type { Subject } from "./subjects";
import { layerNames, useCompared, useDifferences } from "./useCompared";
import { takeOther, walkDifferences } from "./walk";

export interface CompareDockProps {
  model: Model;
  network: Network;
  fleet: string;
  running: Deployment | null;
  /** Of the open plan. */
  predicted: Predicted;
  unpredictable: string | null;
}

export default function CompareDock({ model, network, fleet, running, predicted, unpredictable }: CompareDockProps) {
  const keeper = useKeeper();
  const content = usePlan((whole) => whole);
  const plan = useSync((sync) => sync.plan);
  const against = useComparing((state) => state.against);
  const other = useComparing((state) => state.other);
  const { rows, others, loaded } = useCompared(model, network, running, fleet);
  const found = useDifferences(network, other?.content ?? null);
  const [isFolded, setFolded] = useState(false);
  const dock = useRef<HTMLElement>(null);
  useEffect(() => dock.current?.focus({ preventScroll: true }), []);
  useEffect(
    () =>
      syncStore.subscribe(({ plan: now }, { plan: before }) => {
        if (now && before && now.id !== before.id) exchange(savedKey(now.id), savedKey(before.id));
      }),
    [],
  );
  const layers = useMemo(() => layerNames(network), [network]);

  const open = ({ name, saved, content: wanted }: Subject): CompareRow["open"] => {
    if (saved) {
      return { words: "Open", run: () => void keeper.switchTo(saved.id).catch(tellProblem) };
    }
    return {
      words: "Use",
      run: () => {
        const { layers: moved } = replacePlan(takenOver(content, planDocument(model, wanted)), name);
        flash("", moved === 0 ? `${name}: the plan is already so` : `${name}: ${plural(moved, "layer")} changed`);
      },
    };
  };
  const mine: CompareRow = {
    key: "open",
    name: plan?.name ?? "Plan",
    local: useMemo(() => estimate(network, content), [network, content]),
    prediction: unpredictable === null ? predicted.prediction : null,
    pending: unpredictable === null && !predicted.current,
    why: unpredictable ?? predicted.problem?.message ?? null,
    differs: null,
    measured: null,
    open: null,
  };
  const run = useRun(running);
  const measured = run?.state === "running" ? run.frames_per_s : null;
  const beside = rows.map(
    ({ subject, local, prediction, pending, why }): CompareRow => ({
      key: subject.key, name: subject.name, local, prediction, pending, why,
      differs: differing(layers, content, subject.content).length,
      measured: subject.key === RUNNING ? measured : null,
      open: open(subject),
    }),
  );
  useCommands(
    useMemo((): Command[] => {
      const none = found.found.length === 0 ? "Nothing differs." : null;
      return [
        { id: "plan.next-difference", group: "Plan", title: "Go to the next difference", keys: "F7", unable: none, run: () => walkDifferences(network, found.found, 1) },
        { id: "plan.previous-difference", group: "Plan", title: "Go to the previous difference", keys: "Shift F7", unable: none, run: () => walkDifferences(network, found.found, -1) },
        { id: "plan.take-all", group: "Plan", title: "Take all layers from the plan beside", words: "compare merge", unable: none, run: () => takeOther(found.found.flatMap((one) => one.layers)) },
        { id: "plan.compare-close", group: "Plan", title: "End the comparison of plans", run: end },
      ];
    }, [network, found.found]),
  );
  return (
    <section ref={dock} className="compare" aria-label="Plans side by side" tabIndex={-1} data-testid="compare">
      <header>
        <h2>Side by side</h2>
        <Menu position="top-start" withinPortal>
          <Menu.Target>
            <Button size="compact-xs" variant="default" leftSection={<IconPlus size={12} />} data-testid="compare-add">
              Add a plan
            </Button>
          </Menu.Target>
          <Menu.Dropdown className="compare-menu" data-testid="compare-menu">
            {others.length === 0 && <Menu.Label>{loaded ? "There is no other plan" : "Looking for plans…"}</Menu.Label>}
            {others.map(({ key, name }) => (
              <Menu.Item key={key} onClick={() => compareWith([key])} data-testid={`add-${key}`}>
                {name}
              </Menu.Item>
            ))}
          </Menu.Dropdown>
        </Menu>
        <span className="header-space" />
        <ActionIcon variant="subtle" color="gray" size={24} aria-label={isFolded ? "Show the figures" : "Fold the figures"} title={isFolded ? "Show the figures" : "Fold the figures"} aria-expanded={!isFolded} onClick={() => setFolded(!isFolded)} data-testid="compare-fold">
          {isFolded ? <IconChevronUp size={15} /> : <IconChevronDown size={15} />}
        </ActionIcon>
        <ActionIcon variant="subtle" color="gray" size={24} aria-label="End the comparison" title="End the comparison" onClick={end} data-testid="compare-close">
          <IconX size={15} />
        </ActionIcon>
      </header>
      {other && against !== null && <DifferenceBar network={network} name={other.name} differences={found} />}
      {!isFolded && <CompareTable rows={[mine, ...beside]} against={against} showAgainst={(key) => showAgainst(key === against ? null : key)} leaveOut={leaveOut} />}
      {!isFolded && beside.length === 0 && <p className="compare-none">{loaded ? "Add a plan, what runs now, or a baseline, to see it beside the open one." : "Looking for plans…"}</p>}
    </section>
  );
}

/** The comparison goes, and the focus with it back to the graph. */
function end(): void {
  closeComparison();
  focusLayers();
}
