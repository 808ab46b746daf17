/** The button that deploys, its menu, and what stands on the devices now. */
import { ActionIcon, Button, Menu, Popover, Tooltip } from "@mantine/core";
import { IconChevronDown, IconRocket } from "@tabler/icons-react";
import { lazy, Suspense, useMemo, useState } from "react";
import type { Model, PlanProblem } from "@/api/types";
import { useCommands, type Command } from "@/app/commands";
import { plural } from "@/app/format";
import { insist } from "@/app/insist";
import { DeployItems } from "@/editor/parts";
import type { Deployments } from "./deploying";
import { ProblemList } from "./ProblemList";
import type { Deploy } from "./useDeploy";

const DryRunDialog = lazy(() => insist(() => import("./DryRunDialog")));

/** What stands on the devices now; opens the sheet. */
export function DeployState({ deployments: { active, running, last }, hidden, open }: { deployments: Deployments; hidden: boolean; open: () => void }) {
  const shown = active ?? running ?? last;
  if (!shown) return null;
  return (
    <button type="button" className={`deploy-state is-${shown.state}`} onClick={open} title="Show the steps of the deployment">
      <span data-testid={hidden ? undefined : "deploy-state"}>{shown.state}</span>
    </button>
  );
}

interface DeployButtonProps {
  model: Model;
  deploy: Deploy;
  deployments: Deployments;
  /** Why the plan cannot be deployed now. */
  reason: string | null;
  problems: readonly PlanProblem[];
  /** Layers that differ from what runs; null when nothing runs. */
  changes: number | null;
  show: (problem: PlanProblem) => void;
}

export function DeployButton({ model, deploy, deployments, reason, problems, changes, show }: DeployButtonProps) {
  const { active, running, last } = deployments;
  const [asking, setAsking] = useState(false);
  const [trying, setTrying] = useState(false);
  const same = changes === 0;
  const words = active ? "Deploying…" : changes === null ? "Deploy" : same ? "Deploy again" : `Deploy ${plural(changes, "change")}`;
  const help = active ? "Show its steps" : (reason ?? (changes === null ? "Put the plan onto its devices" : same ? "The running deployment is this plan" : "The plan differs from the running deployment"));
  const blocked = reason !== null && active === null;
  const press = () => {
    if (active) deploy.open();
    else if (blocked) setAsking((open) => !open);
    else deploy.start();
  };
  const { start, open, stop } = deploy;
  const commands = useMemo<readonly Command[]>(() => {
    const onTheWay = active === null ? null : "A deployment is on its way";
    return [
      { id: "run.deploy", group: "Run", title: "Deploy the plan", words: "start put push redeploy", unable: onTheWay ?? reason, run: start },
      { id: "run.dry", group: "Run", title: "What deploying would send", words: "dry run bytes", unable: reason, run: () => setTrying(true) },
      { id: "run.steps", group: "Run", title: "Show the steps of the deployment", words: "progress sheet", unable: last ? null : "Nothing was deployed yet", run: open },
      { id: "run.undeploy", group: "Run", title: "Stop the deployment", words: "end agents", unable: running?.state === "running" ? null : "Nothing runs", run: () => running && stop(running) },
    ];
    // The actions are made anew with every drawing; what they do hangs on these alone.
    // eslint-disable-next-line react-hooks/exhaustive-deps
  }, [active?.id, running?.id, running?.state, last?.id, last?.epoch, reason]);
  useCommands(commands);
  return (
    <>
      <Popover withRoles={false} opened={asking && blocked} onChange={setAsking} position="bottom-end" width={380} shadow="md" withinPortal trapFocus returnFocus>
        <Popover.Target>
          <div className="deploy-button">
            <Tooltip label={help} multiline maw={320} position="bottom-end" disabled={asking}>
              <Button
                size="xs"
                variant={same || active ? "default" : "filled"}
                leftSection={active ? null : <IconRocket size={14} />}
                loading={deploy.busy}
                data-disabled={blocked || undefined}
                aria-disabled={blocked}
                aria-description={reason ?? undefined}
                aria-expanded={blocked ? asking : undefined}
                onClick={press}
                data-testid="deploy"
              >
                {words}
              </Button>
            </Tooltip>
            <Menu position="bottom-end" withinPortal>
              <Menu.Target>
                <ActionIcon size={30} variant={same || active || blocked ? "default" : "filled"} aria-label="More ways to deploy" data-testid="deploy-menu">
                  <IconChevronDown size={14} />
                </ActionIcon>
              </Menu.Target>
              <Menu.Dropdown maw={330}>
                <DeployItems deploy={deploy} deployments={deployments} blocked={blocked} changes={changes} look={() => setTrying(true)} />
              </Menu.Dropdown>
            </Menu>
          </div>
        </Popover.Target>
        <Popover.Dropdown role="dialog" data-testid="deploy-problems" aria-label="What keeps the plan from being deployed">
          <div className="plan-problems is-popover">
            <h3>The plan cannot be deployed yet</h3>
            {!problems.some(({ severity }) => severity === "error") && <p>{reason}</p>}
            <ProblemList
              problems={problems}
              show={(problem) => {
                setAsking(false);
                show(problem);
              }}
            />
          </div>
        </Popover.Dropdown>
      </Popover>
      {trying && (
        <Suspense fallback={null}>
          <DryRunDialog model={model} unable={active ? "A deployment is on its way." : reason} start={start} close={() => setTrying(false)} />
        </Suspense>
      )}
    </>
  );
}
