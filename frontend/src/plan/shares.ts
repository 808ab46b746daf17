/** Who holds how much of several layers. */
import { own } from "@/app/own";
import { placesOf, deviceOf, type Content } from "./content";
import { divisionsOf } from "./divisions";

export interface DeviceShare {
  /** "" for layers on no device. */
  device: string;
  /** Of the layers, each counted the same; the shares of all sum to 1. */
  share: number;
}

/** The largest share first; equal ones in the order in which the layers name them. */
export function sharesOfLayers(content: Content, layers: readonly string[]): DeviceShare[] {
  const shares = new Map<string, number>();
  const add = (device: string, share: number) => shares.set(device, (shares.get(device) ?? 0) + share / layers.length);
  const divisions = divisionsOf(content.shards);
  for (const layer of layers) {
    const division = divisions.get(layer);
    const place = own(content.placement, layer);
    if (division) for (const part of division.parts) add(deviceOf(content, part.place), part.share);
    else if (place === undefined) add("", 1);
    else {
      const places = placesOf(content, place);
      for (const one of places) add(deviceOf(content, one), 1 / places.length);
    }
  }
  return [...shares].map(([device, share]) => ({ device, share })).sort((a, b) => b.share - a.share);
}
