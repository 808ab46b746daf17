/** More about the plan: its settings, export and import. */
import { ActionIcon, Menu } from "@mantine/core";
import { IconDots } from "@tabler/icons-react";
import { useRef, useState } from "react";
import type { Device, Model } from "@/api/types";
import type { Foreign } from "./ForeignDialog";
import { PlanDoings, PlanItems } from "./parts";

/** What of the plan's files and settings is being done. */
export type PlanDoing = Foreign | "settings";

/** `isSeen`: the network is there; until then only the button is. */
export function PlanMenu({ model, devices, isSeen }: { model: Model; devices: readonly Device[]; isSeen: boolean }) {
  const input = useRef<HTMLInputElement>(null);
  const [doing, setDoing] = useState<PlanDoing | null>(null);
  return (
    <>
      <Menu position="bottom-end" withinPortal>
        <Menu.Target>
          <ActionIcon variant="subtle" color="gray" aria-label="More about the plan" data-testid="plan-menu">
            <IconDots size={17} />
          </ActionIcon>
        </Menu.Target>
        <Menu.Dropdown>
          <PlanItems model={model} input={input} begin={setDoing} />
        </Menu.Dropdown>
      </Menu>
      {isSeen && <PlanDoings model={model} devices={devices} input={input} doing={doing} begin={setDoing} />}
    </>
  );
}
