/** "Replicas": the selected layers on several devices, which share the frames by their measured speed. */
import { Button, Checkbox, Popover } from "@mantine/core";
import { IconCopy } from "@tabler/icons-react";
import { useState } from "react";
import type { Device } from "@/api/types";
import { plural } from "@/app/format";
import { isUsable } from "@/devices/words";
import { deviceOf } from "@/plan/content";
import { placesOfLayer } from "@/plan/divisions";
import { planStore, replicateLayers, usePlan } from "@/plan/store";
import { PlaceLabel } from "./PlaceLabel";
import { flash } from "./view";

const LEAST = 2;

interface ReplicaProps {
  devices: readonly Device[];
  layers: readonly string[];
}

export function ReplicaPopover(props: ReplicaProps) {
  const [open, setOpen] = useState(false);
  return (
    <Popover opened={open} onChange={setOpen} position="top-end" width={320} withinPortal trapFocus returnFocus shadow="md">
      <Popover.Target>
        <Button size="compact-sm" variant="default" leftSection={<IconCopy size={13} />} onClick={() => setOpen(!open)} data-testid="replicas-open" title="Several devices share the frames of these layers">
          Replicas…
        </Button>
      </Popover.Target>
      <Popover.Dropdown className="split" aria-label="Replicas" data-testid="replicas">
        {open && <ReplicaForm {...props} close={() => setOpen(false)} />}
      </Popover.Dropdown>
    </Popover>
  );
}

function ReplicaForm({ devices, layers, close }: ReplicaProps & { close: () => void }) {
  const rest = usePlan((content) => content.rest);
  const places = [...devices.map(({ name }) => name), ...Object.keys(rest.resources)];
  const [chosen, setChosen] = useState<ReadonlySet<string>>(() => {
    const content = planStore.getState().content;
    const first = new Set(layers.flatMap((layer) => placesOfLayer(content, layer)).filter((place) => places.includes(place)));
    for (const { name, state } of devices) if (first.size < LEAST && isUsable({ state })) first.add(name);
    return first;
  });
  const toggle = (place: string) => {
    const next = new Set(chosen);
    if (!next.delete(place)) next.add(place);
    setChosen(next);
  };
  const wanted = places.filter((place) => chosen.has(place));
  const apply = () => {
    const { layers: moved } = replicateLayers(layers, wanted, devices.map(({ name }) => name));
    flash("", moved === 0 ? "already shared so" : `${plural(moved, "layer")} shared by ${wanted.join(", ")}`);
    close();
  };
  return (
    <form
      onSubmit={(event) => {
        event.preventDefault();
        if (wanted.length >= LEAST) apply();
      }}
    >
      <h2>{layers.length === 1 ? layers[0] : plural(layers.length, "layer")} on several devices</h2>
      <p className="split-what">Each device holds all of them and takes the next frame as soon as it can: faster ones take more. The order of the answers stays.</p>
      <ul className="split-parts" aria-label="Devices">
        {places.map((place) => {
          const device = deviceOf({ rest }, place);
          return (
            <li key={place}>
              <Checkbox
                size="xs"
                checked={chosen.has(place)}
                onChange={() => toggle(place)}
                label={<PlaceLabel place={place} device={device} />}
                data-testid={`replica-on-${place}`}
              />
            </li>
          );
        })}
      </ul>
      <footer>
        <Button size="xs" variant="default" onClick={close}>
          Cancel
        </Button>
        <Button size="xs" type="submit" disabled={wanted.length < LEAST} data-testid="replicas-apply">
          {wanted.length < LEAST ? "Choose at least two" : `Share among ${wanted.length}`}
        </Button>
      </footer>
    </form>
  );
}
