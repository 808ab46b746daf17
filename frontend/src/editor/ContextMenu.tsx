/** At the pointer: where the selection can go. */
import { Menu } from "@mantine/core";
import type { Device } from "@/api/types";
import type { Network } from "@/graph/network";
import { SelectedAssignItems } from "./AssignItems";
import type { Scene } from "./context";
import { FoldItems } from "./FoldItems";
import { OnwardsItems } from "./OnwardsItems";

interface ContextMenuProps {
  /** Null: it is closed. */
  at: { x: number; y: number } | null;
  close: () => void;
  network: Network;
  scene: Scene | null;
  devices: readonly Device[];
}

export function ContextMenu({ at, close, network, scene, devices }: ContextMenuProps) {
  return (
    <Menu opened={at !== null} onChange={close} position="bottom-start" withinPortal returnFocus>
      <Menu.Target>
        <button type="button" className="menu-anchor" tabIndex={-1} aria-label="Send the selection to a device" style={{ left: at?.x ?? 0, top: at?.y ?? 0 }} />
      </Menu.Target>
      <Menu.Dropdown data-testid="context-menu">
        <Menu.Label>Send to</Menu.Label>
        <SelectedAssignItems network={network} devices={devices} />
        <OnwardsItems network={network} />
        <FoldItems scene={scene} />
      </Menu.Dropdown>
    </Menu>
  );
}
