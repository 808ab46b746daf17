/** The ways to deploy, in the menu beside the button. */
import { Menu } from "@mantine/core";
import { IconLayoutColumns, IconListDetails, IconPlayerStop, IconRocket, IconTransfer } from "@tabler/icons-react";
import { plural } from "@/app/format";
import { compareWith, RUNNING } from "@/plans/comparing";
import type { Deployments } from "./deploying";
import type { Deploy } from "./useDeploy";

interface DeployItemsProps {
  deploy: Deploy;
  deployments: Deployments;
  /** Whether the plan cannot be deployed now. */
  blocked: boolean;
  /** Layers that differ from what runs; null when nothing runs. */
  changes: number | null;
  /** At what deploying would send. */
  look: () => void;
}

export function DeployItems({ deploy: { start, open, stop }, deployments: { active, running, last }, blocked, changes, look }: DeployItemsProps) {
  return (
    <>
      <Menu.Item leftSection={<IconRocket size={15} />} disabled={blocked || active !== null} onClick={start} data-testid="deploy-all">
        {running ? "Deploy again" : "Deploy"}
        <small className="menu-hint">All devices begin anew together; each is sent only what it does not have yet.</small>
      </Menu.Item>
      <Menu.Item leftSection={<IconTransfer size={15} />} disabled={blocked} onClick={look} data-testid="dry-run">
        What would be sent…
        <small className="menu-hint">Bytes for each device. Nothing is touched.</small>
      </Menu.Item>
      <Menu.Item leftSection={<IconLayoutColumns size={15} />} disabled={changes === null || changes === 0} onClick={() => compareWith([RUNNING])} data-testid="deploy-compare">
        Side by side with what runs
        <small className="menu-hint">{changes === null ? "Nothing runs now." : changes === 0 ? "It is this plan." : `${plural(changes, "change")} since, marked on the graph.`}</small>
      </Menu.Item>
      <Menu.Item leftSection={<IconListDetails size={15} />} disabled={!last} onClick={open} data-testid="show-steps">
        Steps of the last deployment
      </Menu.Item>
      <Menu.Divider />
      <Menu.Item leftSection={<IconPlayerStop size={15} />} color="red" disabled={running?.state !== "running"} onClick={() => running && stop(running)} data-testid="menu-stop-deployment">
        Stop the deployment
      </Menu.Item>
    </>
  );
}
