/** Which layers two plans of one network have elsewhere. Pure. */
import type { Sharding } from "@/api/types";
import { own } from "@/app/own";
import type { Content, Rest } from "./content";
import { divisionsOf } from "./divisions";

/** An object whose entries' order says nothing, in one comparable word. */
const sorted = (value: object): string => JSON.stringify(Object.entries(value).sort(([a], [b]) => (a < b ? -1 : 1)));

/** A name of the plan, by what stands behind it: two plans may call the same replicas or cores by different names. */
function spelledPlace({ resources, replicas }: Pick<Rest, "resources" | "replicas">, place: string): string {
  const group = own(replicas, place);
  if (group) return JSON.stringify(group.places.map((one) => spelledPlace({ resources, replicas: {} }, one)).sort());
  const resource = own(resources, place);
  return resource ? sorted(resource) : place;
}

function spelledSharding(rest: Rest, sharding: Sharding): string {
  const { layers, devices, ...how } = sharding;
  return JSON.stringify([layers, devices.map((place) => spelledPlace(rest, place)), sorted(how)]);
}

const spelled = new WeakMap<Content, ReadonlyMap<string, string>>();

/** Where each placed layer is, in one comparable word. */
function standings(content: Content): ReadonlyMap<string, string> {
  const known = spelled.get(content);
  if (known) return known;
  const places = new Map<string, string>();
  const words = new Map<string, string>();
  for (const [layer, place] of Object.entries(content.placement)) {
    let word = words.get(place);
    if (word === undefined) words.set(place, (word = spelledPlace(content.rest, place)));
    places.set(layer, word);
  }
  const shardings = content.shards.map((sharding) => spelledSharding(content.rest, sharding));
  for (const [layer, division] of divisionsOf(content.shards)) places.set(layer, division.shardings.map((index) => shardings[index]).join(" "));
  spelled.set(content, places);
  return places;
}

/** The layers that are elsewhere, or divided otherwise, in the order of `layers`. */
export function differing(layers: readonly string[], mine: Content, other: Content): string[] {
  const [a, b] = [standings(mine), standings(other)];
  return layers.filter((layer) => (a.get(layer) ?? "") !== (b.get(layer) ?? ""));
}
