/** The devices as menu items, with their keys. One that cannot take the layers says why, and does nothing. */
import { Menu } from "@mantine/core";
import { useEffect, useMemo } from "react";
import type { Device } from "@/api/types";
import { DeviceSign } from "@/devices/DeviceSign";
import { useMarks } from "@/devices/marks";
import { at, type Network } from "@/graph/network";
import { assignAndSay } from "./drag";
import { endTrial, judgedAssigning, tryAssigning, useHand } from "./hand";
import { useView } from "./view";

export interface AssignItemsProps {
  devices: readonly Device[];
  layers: readonly string[];
}

/** The same for what is selected. */
export function SelectedAssignItems({ network, devices }: { network: Network; devices: readonly Device[] }) {
  const selection = useView((view) => view.selection);
  const layers = useMemo(() => [...selection].map((node) => at(network.nodes, node).name), [network, selection]);
  return <AssignItems devices={devices} layers={layers} />;
}

export function AssignItems({ devices, layers }: AssignItemsProps) {
  const marks = useMarks();
  const trial = useHand((hand) => hand.trial);
  useEffect(() => endTrial, []);
  const verdicts = useMemo(() => new Map(devices.map(({ name }) => [name, judgedAssigning(layers, name)])), [devices, layers]);
  const look = (place: string) => tryAssigning(layers, place);
  return (
    <>
      {devices.length === 0 && <Menu.Label>No devices yet</Menu.Label>}
      {devices.map(({ name }, i) => {
        const tried = trial?.places.length === 1 && trial.places[0] === name ? trial.verdict.refused : null;
        const refused = tried ?? verdicts.get(name)?.refused ?? null;
        return (
          <Menu.Item
            key={name}
            className={refused === null ? "assign-item" : "assign-item is-refused"}
            aria-disabled={refused === null ? undefined : true}
            closeMenuOnClick={refused === null}
            onClick={() => assignAndSay(layers, name)}
            onMouseEnter={() => look(name)}
            onFocus={() => look(name)}
            onMouseLeave={endTrial}
            onBlur={endTrial}
            leftSection={<DeviceSign mark={marks.get(name) ?? null} />}
            rightSection={i < 9 ? <kbd>{i + 1}</kbd> : null}
            data-testid={`assign-to-${name}`}
          >
            {name}
            {refused !== null && <small className="assign-why">{refused}</small>}
          </Menu.Item>
        );
      })}
      <Menu.Divider />
      <Menu.Item onClick={() => assignAndSay(layers, "")} rightSection={<kbd>Del</kbd>}>
        No device
      </Menu.Item>
    </>
  );
}
