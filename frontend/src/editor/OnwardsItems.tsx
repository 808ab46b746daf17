/** Selections that go on along the network, as menu items. */
import { ActionIcon, Menu } from "@mantine/core";
import { IconArrowBarToDown } from "@tabler/icons-react";
import type { Network } from "@/graph/network";
import { selectToCut, selectToEnd } from "./useHandCommands";

export function OnwardsItems({ network }: { network: Network }) {
  return (
    <>
      <Menu.Label>Select from here</Menu.Label>
      <Menu.Item onClick={() => selectToCut(network)} data-testid="select-to-cut">
        To the next cut
      </Menu.Item>
      <Menu.Item onClick={() => selectToEnd(network)} data-testid="select-to-end">
        To the end
      </Menu.Item>
    </>
  );
}

export function OnwardsMenu({ network }: { network: Network }) {
  return (
    <Menu position="top" withinPortal>
      <Menu.Target>
        <ActionIcon variant="default" size={26} aria-label="Select onwards" title="Select from here to the next cut, or to the end" data-testid="onwards">
          <IconArrowBarToDown size={15} />
        </ActionIcon>
      </Menu.Target>
      <Menu.Dropdown>
        <OnwardsItems network={network} />
      </Menu.Dropdown>
    </Menu>
  );
}
