/** The button that deploys, and what stands on the devices now. */
import { Button, Tooltip } from "@mantine/core";
import { IconRocket } from "@tabler/icons-react";
import { plural } from "@/app/format";
import type { Deployments } from "./deploying";

/** What stands on the devices now; opens the sheet. */
export function DeployState({ deployments: { active, running, last }, hidden, open }: { deployments: Deployments; hidden: boolean; open: () => void }) {
  const shown = active ?? running ?? last;
  if (!shown) return null;
  return (
    <button type="button" className={`deploy-state is-${shown.state}`} onClick={open} title="Show the deployment">
      <span data-testid={hidden ? undefined : "deploy-state"}>{shown.state}</span>
    </button>
  );
}

interface DeployButtonProps {
  reason: string | null;
  active: boolean;
  busy: boolean;
  /** Layers that differ from what runs; null when nothing runs. */
  changes: number | null;
  start: () => void;
  open: () => void;
}

export function DeployButton({ reason, active, busy, changes, start, open }: DeployButtonProps) {
  if (active) {
    return (
      <Button size="xs" loading={busy} onClick={open} variant="light" data-testid="deploy">
        Deploying…
      </Button>
    );
  }
  const same = changes === 0;
  const words = changes === null ? "Deploy" : same ? "Deploy again" : `Deploy ${plural(changes, "change")}`;
  const help = reason ?? (changes === null ? "Put the plan onto its devices" : same ? "The running deployment is this plan" : "The plan differs from the running deployment");
  return (
    <Tooltip label={help} multiline maw={320} position="bottom-end">
      <Button
        size="xs"
        variant={same ? "default" : "filled"}
        leftSection={<IconRocket size={14} />}
        loading={busy}
        data-disabled={reason !== null || undefined}
        aria-disabled={reason !== null}
        aria-description={reason ?? undefined}
        onClick={() => {
          if (reason === null) start();
        }}
        data-testid="deploy"
      >
        {words}
      </Button>
    </Tooltip>
  );
}
