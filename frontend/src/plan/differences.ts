/** How two plans of one network differ, run by run, and taking over from one what the other says. Pure. */
import type { Sharding } from "@/api/types";
import { own } from "@/app/own";
import { differing } from "./compare";
import { sameValue, type Content, type Rest } from "./content";
import { assign, apply, replaceBy, type PlanDelta } from "./delta";
import { devicesOfLayer, touchedLayers } from "./divisions";

/** Neighbouring layers that differ in the same way: from the same devices to the same others. */
export interface Difference {
  layers: readonly string[];
  /** No device: unplaced. */
  mine: readonly string[];
  other: readonly string[];
}

/** What differs, in the order of `layers`, which is that of the network. */
export function differences(layers: readonly string[], mine: Content, other: Content): Difference[] {
  const apart = new Set(differing(layers, mine, other));
  const found: { layers: string[]; mine: readonly string[]; other: readonly string[] }[] = [];
  let open = false;
  for (const layer of layers) {
    if (!apart.has(layer)) {
      open = false;
      continue;
    }
    const [here, there] = [devicesOfLayer(mine, layer), devicesOfLayer(other, layer)];
    const last = found.at(-1);
    if (open && last && sameValue(last.mine, here) && sameValue(last.other, there)) last.layers.push(layer);
    else found.push({ layers: [layer], mine: here, other: there });
    open = true;
  }
  return found;
}

/** Where a plan's difference to another is besides the layers: how tensors travel, how many frames in one go, how much may change. */
export const SETTING_WORDS = { codecs: "codecs", micro_batch: "frames in one go", max_change: "allowed change of the answers" } as const satisfies Partial<Record<keyof Rest, string>>;

export function differingSettings({ rest: mine }: Pick<Content, "rest">, { rest: other }: Pick<Content, "rest">): string[] {
  return (Object.keys(SETTING_WORDS) as (keyof typeof SETTING_WORDS)[]).filter((name) => !sameValue(mine[name], other[name])).map((name) => SETTING_WORDS[name]);
}

/**
 * The edit that puts layers where the other plan has them, and leaves all else. Layers that are divided together, in
 * either plan, come together; names for parts of devices and for replicas come along under free names.
 */
export function takeFrom(content: Content, other: Content, layers: readonly string[], label: string): PlanDelta | null {
  const wanted = together(content, other, layers);
  const freed = assign(content, [...wanted], null, label);
  const bare = freed ? apply(content, freed) : content;
  const names = new NamesTaken(bare, other);
  const placement = new Map(Object.entries(bare.placement));
  for (const layer of wanted) {
    const place = own(other.placement, layer);
    if (place !== undefined) placement.set(layer, names.mine(place));
  }
  const touched = touchedLayers(other.shards);
  const shards = other.shards.filter((_, index) => (touched.get(index) ?? []).some((layer) => wanted.has(layer)));
  const moved = shards.map((sharding) => ({ ...sharding, devices: sharding.devices.map((place) => names.mine(place)) }) as Sharding);
  return replaceBy(content, { placement: Object.fromEntries(placement), shards: [...bare.shards, ...moved], rest: names.rest }, label);
}

/** With every layer that is divided together with one of these, in either plan. */
function together(mine: Content, other: Content, layers: readonly string[]): Set<string> {
  const wanted = new Set(layers);
  const groups = [mine, other].flatMap(({ shards }) => [...touchedLayers(shards).values()]);
  for (let before = -1; before !== wanted.size; ) {
    before = wanted.size;
    for (const group of groups) if (group.some((layer) => wanted.has(layer))) for (const layer of group) wanted.add(layer);
  }
  return wanted;
}

/** Names of the other plan, as this one may call them. */
class NamesTaken {
  rest: Rest;
  private readonly given = new Map<string, string>();

  constructor(
    { rest }: Content,
    private readonly other: Content,
  ) {
    this.rest = rest;
  }

  /** What this plan calls a place of the other. */
  mine(place: string): string {
    const known = this.given.get(place);
    if (known !== undefined) return known;
    const name = this.take(place);
    this.given.set(place, name);
    return name;
  }

  private take(place: string): string {
    const { resources, replicas } = this.other.rest;
    const resource = own(resources, place);
    if (resource) {
      const name = this.free(place, this.rest.resources, resource);
      this.rest = { ...this.rest, resources: { ...this.rest.resources, [name]: resource } };
      return name;
    }
    const group = own(replicas, place);
    if (!group) return place;
    const wanted = { ...group, places: group.places.map((one) => this.mine(one)) };
    const name = this.free(place, this.rest.replicas, wanted);
    this.rest = { ...this.rest, replicas: { ...this.rest.replicas, [name]: wanted } };
    return name;
  }

  /** The same name where it is free or means the same, or else one with a number. */
  private free<T>(place: string, known: Readonly<Record<string, T>>, wanted: T): string {
    const same = Object.entries(known).find(([, value]) => sameValue(value, wanted));
    if (same) return same[0];
    const isTaken = (name: string) => Object.hasOwn(this.rest.resources, name) || Object.hasOwn(this.rest.replicas, name);
    for (let number = 1; ; number += 1) {
      const name = number === 1 ? place : `${place}-${number}`;
      if (!isTaken(name)) return name;
    }
  }
}
