/** A division of the selected layer: how, which layers, and what each device holds of them. */
import { Button } from "@mantine/core";
import { IconArrowMerge } from "@tabler/icons-react";
import { formatPercent, plural } from "@/app/format";
import { DeviceSign } from "@/devices/DeviceSign";
import { useMarks } from "@/devices/marks";
import { deviceOf } from "@/plan/content";
import { kindOf, sharesOf } from "@/plan/divisions";
import { removeSharding, usePlan } from "@/plan/store";
import { SPLIT_WORDS } from "@/plan/words";
import { flash } from "@/editor/view";

export function ShardingDetails({ place }: { place: number }) {
  const sharding = usePlan(({ shards }) => shards[place]);
  const marks = useMarks();
  const rest = usePlan((content) => content.rest);
  if (!sharding) return null;
  const shares = sharesOf(sharding);
  const remove = () => {
    const { layers } = removeSharding(place);
    flash(deviceOf({ rest }, sharding.devices[0] ?? ""), `${plural(layers, "layer")} whole again`);
  };
  return (
    <section className="sharding" data-testid="sharding">
      <h3>{SPLIT_WORDS[kindOf(sharding)].title}</h3>
      <p className="sharding-layers">{sharding.layers.join(", ")}</p>
      <ul>
        {sharding.devices.map((place, i) => (
          // Parts are told apart by their place: one device may hold several.
          <li key={i}>
            <DeviceSign mark={marks.get(deviceOf({ rest }, place)) ?? null} />
            <span>{place}</span>
            <span className="details-bytes">{formatPercent(shares[i] ?? 0)}</span>
          </li>
        ))}
      </ul>
      {"exchange_before" in sharding && sharding.exchange_before.length > 0 && <p className="sharding-layers">Halos are exchanged before {sharding.exchange_before.join(", ")}.</p>}
      <Button size="compact-xs" variant="default" leftSection={<IconArrowMerge size={13} />} onClick={remove} data-testid="sharding-remove" title="Each layer goes to the device that holds most of it">
        Remove the division
      </Button>
    </section>
  );
}
