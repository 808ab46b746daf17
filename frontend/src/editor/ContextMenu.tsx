/** At the pointer: where the selection can go. */
import { Menu } from "@mantine/core";
import type { Device } from "@/api/types";
import type { Network } from "@/graph/network";
import { SelectedAssignItems } from "./AssignItems";
import type { Scene } from "./context";
import { FoldItems } from "./FoldItems";
import { OnwardsItems } from "./OnwardsItems";
import { focusLayers } from "./showing";

interface ContextMenuProps {
  /** Null: it is closed. */
  at: { x: number; y: number } | null;
  close: () => void;
  network: Network;
  scene: Scene | null;
  devices: readonly Device[];
}

/** A key is none: until the menu has the focus, keys still go to what it was opened from. */
const PRESSES: ("mousedown" | "touchstart")[] = ["mousedown", "touchstart"];

export function ContextMenu({ at, close, network, scene, devices }: ContextMenuProps) {
  return (
    <Menu
      opened={at !== null}
      onChange={() => {
        close();
        focusLayers();
      }}
      // What opened it is no button, to which the keys would go back by themselves.
      returnFocus={false}
      clickOutsideEvents={PRESSES}
      position="bottom-start"
      withinPortal
    >
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
