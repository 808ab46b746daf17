/** The planner beside the canvas: what limits the plan, the best plan, and the trade-offs. */
import { ActionIcon, Tabs } from "@mantine/core";
import { IconX } from "@tabler/icons-react";
import { useEffect, useRef } from "react";
import type { Device, Model } from "@/api/types";
import type { Network } from "@/graph/network";
import { BestPlan, useFilling } from "./BestPlan";
import { PlanLimits } from "./PlanLimits";
import "@/styles/devices.css";
import "./planner.css";
import { ResizeHandle } from "./ResizeHandle";
import { closePlanner, openPlanner, TABS, usePlanner, type Tab } from "./store";
import { TradeOffs } from "./TradeOffs";
import type { Predicted } from "./usePrediction";
import { useSearches } from "./useSearch";

const TITLES: Record<Tab, string> = { best: "Suggest", front: "Trade-offs", plan: "This plan" };
const ORDER: readonly Tab[] = ["best", "front", "plan"];

interface PlannerPanelProps {
  model: Model;
  network: Network;
  devices: readonly Device[];
  predicted: Predicted;
  /** Why nothing can be predicted of the plan; null where it can. */
  unpredictable: string | null;
  /** As it stands in the editor, in pixels. */
  width: number;
}

export default function PlannerPanel({ model, network, devices, predicted, unpredictable, width }: PlannerPanelProps) {
  const tab = usePlanner((state) => state.tab);
  const searches = useSearches(model);
  useFilling(model, searches.best);
  const panel = useRef<HTMLElement>(null);
  useEffect(() => {
    const before = document.activeElement;
    panel.current?.querySelector<HTMLElement>('[role="tab"][aria-selected="true"]')?.focus({ preventScroll: true });
    return () => {
      if (before instanceof HTMLElement && before.isConnected) before.focus({ preventScroll: true });
    };
  }, []);
  return (
    <aside ref={panel} className="planner" aria-label="Planner" data-testid="planner">
      <h2 className="visually-hidden">Planner</h2>
      <ResizeHandle width={width} />
      <Tabs value={tab} onChange={(value) => openPlanner(TABS.find((known) => known === value) ?? tab)} keepMounted={false} className="planner-tabs">
        <header className="planner-head">
          <Tabs.List>
            {ORDER.map((one) => (
              <Tabs.Tab key={one} value={one} data-testid={`planner-tab-${one}`}>
                {TITLES[one]}
              </Tabs.Tab>
            ))}
          </Tabs.List>
          <ActionIcon variant="subtle" color="gray" size="sm" aria-label="Close the planner" onClick={closePlanner} data-testid="planner-close">
            <IconX size={15} />
          </ActionIcon>
        </header>
        <Tabs.Panel value="best">
          <BestPlan model={model} network={network} devices={devices} searching={searches.best} />
        </Tabs.Panel>
        <Tabs.Panel value="front">
          <TradeOffs model={model} network={network} devices={devices} searching={searches.front} current={predicted.current ? predicted.prediction : null} />
        </Tabs.Panel>
        <Tabs.Panel value="plan">
          <PlanLimits model={model} predicted={predicted} reason={unpredictable} />
        </Tabs.Panel>
      </Tabs>
    </aside>
  );
}
