/** Which of the network's plans is open: its name, written where it stands, and the list of the others. */
import { ActionIcon, Popover } from "@mantine/core";
import { IconChevronDown } from "@tabler/icons-react";
import { lazy, Suspense, useEffect } from "react";
import { insist } from "@/app/insist";
import type { Deployment, Model } from "@/api/types";
import { tellProblem } from "@/app/notify";
import type { Network } from "@/graph/network";
import { useSync } from "@/plan/sync";
import { useKeeper } from "@/plan/useKeeper";
import "@/styles/plans.css";
import { NameField, useFocusAfter } from "./NameField";
import { followPlans } from "./queries";
import { closePlans, openPlans, setNaming, useSwitcher } from "./switcherStore";
import { usePlanCommands } from "./usePlanCommands";

const PlanList = lazy(() => insist(() => import("./PlanList")));

interface PlanSwitcherProps {
  model: Model;
  network: Network;
  fleet: string;
  running: Deployment | null;
}

export function PlanSwitcher(props: PlanSwitcherProps) {
  const { model, running } = props;
  const keeper = useKeeper();
  const name = useSync(({ plan }) => plan?.name ?? "Plan");
  const loading = useSync(({ state }) => state === "loading");
  const open = useSwitcher((state) => state.open);
  const naming = useSwitcher((state) => state.naming);
  const { ref, ended } = useFocusAfter();
  useEffect(() => followPlans(model.id), [model.id]);
  // Another network's list is not open, and its name not being written, because this one's was.
  useEffect(
    () => () => {
      closePlans();
      setNaming(false);
    },
    [],
  );
  usePlanCommands(model, running !== null);
  return (
    <div className="plan-switcher">
      {naming ? (
        <NameField
          name={name}
          label="Name of the plan"
          done={(wanted, byKey) => {
            ended(byKey);
            setNaming(false);
            if (wanted !== null) keeper.rename(wanted).catch(tellProblem);
          }}
          testId="plan-name-field"
        />
      ) : (
        <button ref={ref} type="button" className="plan-name" title={`${name}\nPress to name it anew`} aria-label={`Plan ${name}. Name it anew`} disabled={loading} onClick={() => setNaming(true)} data-testid="plan-name">
          {name}
        </button>
      )}
      <Popover opened={open} onChange={(next) => !next && closePlans()} position="bottom-start" shadow="md" withinPortal trapFocus returnFocus width={440}>
        <Popover.Target>
          <ActionIcon variant="subtle" color="gray" size={24} aria-label="Plans of this network" title="Plans of this network" aria-expanded={open} aria-haspopup="dialog" disabled={loading} onClick={() => (open ? closePlans() : openPlans())} data-testid="plans-open">
            <IconChevronDown size={15} />
          </ActionIcon>
        </Popover.Target>
        <Popover.Dropdown className="plans" aria-label="Plans of this network" data-testid="plans">
          <Suspense fallback={<p className="loading">…</p>}>
            <PlanList {...props} />
          </Suspense>
        </Popover.Dropdown>
      </Popover>
    </div>
  );
}
