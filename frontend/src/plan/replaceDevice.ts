/** A device that is gone, replaced by another one wherever the plan names it. Pure. */
import { deviceOf, type Content, type Rest } from "./content";
import { replaceBy, type PlanDelta } from "./delta";

/** The edit that puts all that is on one device onto another, divisions, replicas and codecs too. */
export function replaceDevice(content: Content, gone: string, other: string): PlanDelta | null {
  const { placement, shards, rest } = content;
  const named = (place: string): string => (place === gone ? other : place);
  const resources = mapValues(rest.resources, (resource) => ({ ...resource, device: named(resource.device) }));
  const replicas = mapValues(rest.replicas, ({ places }) => ({ places: places.map(named) }));
  const codecs = rest.codecs.map((choice) => ({ ...choice, producer: named(choice.producer), consumer: named(choice.consumer) }));
  const moved: Content = {
    placement: mapValues(placement, named),
    shards: shards.map((sharding) => ({ ...sharding, devices: sharding.devices.map(named) })),
    rest: { ...rest, resources, replicas, codecs },
  };
  return replaceBy(content, withoutDoubles(moved), `${gone} → ${other}`);
}

/** Frames are shared by different devices: where two members became one, it is one, and a group of one is that device, also for codecs. */
function withoutDoubles(content: Content): Content {
  const replicas = new Map<string, Rest["replicas"][string]>();
  const single = new Map<string, string>();
  for (const [name, { places }] of Object.entries(content.rest.replicas)) {
    const kept = places.filter((place, i) => places.findIndex((first) => deviceOf(content, first) === deviceOf(content, place)) === i);
    if (kept.length > 1 || places.length < 2) replicas.set(name, { places: kept });
    else single.set(name, kept[0] ?? "");
  }
  const rest = { ...content.rest, replicas: Object.fromEntries(replicas) };
  if (single.size === 0) return { ...content, rest };
  const known = (place: string): string => single.get(place) ?? place;
  const codecs = rest.codecs.map((choice) => ({ ...choice, producer: known(choice.producer), consumer: known(choice.consumer) }));
  return { ...content, placement: mapValues(content.placement, known), rest: { ...rest, codecs } };
}

const mapValues = <T, U>(record: Readonly<Record<string, T>>, map: (value: T) => U): Record<string, U> => Object.fromEntries(Object.entries(record).map(([key, value]) => [key, map(value)]));
