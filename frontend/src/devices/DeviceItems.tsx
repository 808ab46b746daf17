/** What can be done to a device, in the menu of its card. */
import { Menu } from "@mantine/core";
import { IconBolt, IconChartLine, IconFileText, IconHandGrab, IconRefresh, IconStopwatch, IconTrash } from "@tabler/icons-react";
import type { DeviceActions } from "./DeviceCard";

export function DeviceItems({ name, actions }: { name: string; actions: DeviceActions }) {
  return (
    <>
      <Menu.Item leftSection={<IconHandGrab size={14} />} onClick={() => actions.select(name)}>
        Select its layers
      </Menu.Item>
      <Menu.Item leftSection={<IconChartLine size={14} />} onClick={() => actions.showCharts(name)}>
        Live charts
      </Menu.Item>
      <Menu.Item leftSection={<IconStopwatch size={14} />} onClick={() => actions.profile(name)}>
        Profile…
      </Menu.Item>
      <Menu.Item leftSection={<IconBolt size={14} />} onClick={() => actions.power(name)}>
        Power…
      </Menu.Item>
      <Menu.Item leftSection={<IconRefresh size={14} />} onClick={() => actions.check(name)}>
        Check again
      </Menu.Item>
      <Menu.Item leftSection={<IconFileText size={14} />} onClick={() => actions.showLog(name)}>
        Agent log
      </Menu.Item>
      <Menu.Item color="red" leftSection={<IconTrash size={14} />} onClick={() => actions.remove(name)}>
        Remove…
      </Menu.Item>
    </>
  );
}
