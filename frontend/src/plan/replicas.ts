/** Replicas: several places that share the frames of the layers put there, under one name. */
import { sameValue, type Content, type Rest } from "./content";
import { apply, assign, replaceBy, type PlanDelta } from "./delta";

/** A name that no device, resource or group has. */
function freeName(rest: Rest, devices: readonly string[]): string {
  const taken = new Set([...devices, ...Object.keys(rest.resources), ...Object.keys(rest.replicas)]);
  for (let number = 1; ; number += 1) if (!taken.has(`replicas-${number}`)) return `replicas-${number}`;
}

/** Groups without a layer go, and with them nothing: they are made anew in a moment. */
function withoutUnused(content: Content): Content {
  const used = new Set(Object.values(content.placement));
  const replicas = Object.fromEntries(Object.entries(content.rest.replicas).filter(([name]) => used.has(name)));
  return sameValue(replicas, content.rest.replicas) ? content : { ...content, rest: { ...content.rest, replicas } };
}

/** The edit that has several places share the frames of some layers. `devices` are all names of devices there are. */
export function replicate(content: Content, layers: readonly string[], places: readonly string[], devices: readonly string[], label: string): PlanDelta | null {
  const wanted = [...places].sort();
  const known = Object.entries(content.rest.replicas).find(([, group]) => sameValue([...group.places].sort(), wanted));
  const name = known?.[0] ?? freeName(content.rest, devices);
  const named: Content = known ? content : { ...content, rest: { ...content.rest, replicas: { ...content.rest.replicas, [name]: { places: [...places] } } } };
  const moved = assign(named, layers, name, label);
  return replaceBy(content, withoutUnused(moved ? apply(named, moved) : named), label);
}
