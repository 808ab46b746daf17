/** A device that the plan names and nobody knows any more: its layers can go to another one, all at once. */
import { Button, Menu } from "@mantine/core";
import { IconArrowRight } from "@tabler/icons-react";
import type { Device } from "@/api/types";
import { plural } from "@/app/format";
import { replaceDevice } from "@/plan/replaceDevice";
import { edit, planStore } from "@/plan/store";
import { focusLayers } from "./showing";
import { flash } from "./view";

interface GoneDeviceProps {
  name: string;
  layers: number;
  devices: readonly Device[];
  select: (name: string) => void;
}

export function GoneDevice({ name, layers, devices, select }: GoneDeviceProps) {
  const replace = (other: string) => {
    const { layers: moved } = edit(replaceDevice(planStore.getState().content, name, other));
    flash(other, `${plural(moved, "layer")} of ${name} → ${other}`);
    // The card goes, and what had the focus with it.
    focusLayers();
  };
  return (
    <section className="device-card dev-gone" data-testid={`device-gone-${name}`} aria-label={`${name}, not registered`}>
      <header>
        <button type="button" className="device-name" onClick={() => select(name)} title={name}>
          <bdi>{name}</bdi>
        </button>
        <span className="state state-cannot">not registered</span>
      </header>
      <p className="device-facts">{plural(layers, "layer")} of the plan {layers === 1 ? "is" : "are"} on this device, which is gone. Register it again, or put another in its place.</p>
      {devices.length > 0 && (
        <Menu position="bottom-start" withinPortal hideDetached={false}>
          <Menu.Target>
            <Button size="compact-xs" variant="default" mt={6} rightSection={<IconArrowRight size={13} />} data-testid={`replace-${name}`}>
              Use another device
            </Button>
          </Menu.Target>
          <Menu.Dropdown>
            <Menu.Label>In place of {name}</Menu.Label>
            {devices.map((device) => (
              <Menu.Item key={device.name} onClick={() => replace(device.name)} data-testid={`replace-by-${device.name}`}>
                <bdi>{device.name}</bdi>
              </Menu.Item>
            ))}
          </Menu.Dropdown>
        </Menu>
      )}
    </section>
  );
}
