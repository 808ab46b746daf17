/** What a network can take of a plan that was made for another version of it. Pure. */
import { own } from "@/app/own";
import type { Content } from "./content";
import { divisionsOf, touchedLayers, withDependents } from "./divisions";

export interface Fit {
  content: Content;
  /** How many layers are where the plan has them. */
  layers: number;
  /** Layers that the plan speaks of, and the network does not have. */
  gone: readonly string[];
  /** Layers of the network that are on no device then. */
  left: readonly string[];
  /** How many divisions fall away, because not all of their layers are there. */
  divisions: number;
}

/** The plan as far as a network with these layers can take it; the rest of it stays behind. */
export function fitTo(content: Content, layers: readonly string[]): Fit {
  const known = new Set(layers);
  const isHere = (layer: string): boolean => known.has(layer);
  const lacking = [...touchedLayers(content.shards)].filter(([, whole]) => !whole.every(isHere)).map(([index]) => index);
  const dropped = withDependents(content.shards, new Set(lacking));
  const shards = content.shards.filter((_, index) => !dropped.has(index));
  const placement = Object.fromEntries(Object.entries(content.placement).filter(([layer]) => isHere(layer)));
  const blocks = Object.fromEntries(Object.entries(content.rest.blocks).filter(([, members]) => members.every(isHere)));
  const divided = divisionsOf(shards);
  const spokenOf = new Set([...Object.keys(content.placement), ...divisionsOf(content.shards).keys()]);
  return {
    content: { placement, shards, rest: { ...content.rest, blocks } },
    layers: new Set([...Object.keys(placement), ...divided.keys()]).size,
    gone: [...spokenOf].filter((layer) => !isHere(layer)),
    left: layers.filter((layer) => own(placement, layer) === undefined && !divided.has(layer)),
    divisions: dropped.size,
  };
}
