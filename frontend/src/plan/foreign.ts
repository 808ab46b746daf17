/** Files of other tools, as far as the page must read them: which devices they name, so that a person can say which those are. */
import type { Plan } from "@/api/types";
import { contentOf, type Content } from "./content";
import { readObject } from "./document";

export type Names = { names: readonly string[] } | { problem: string };

const NO_OBJECT = "is no JSON object.";

type Read = { entries: Record<string, unknown> } | { problem: string };

function readNamed(file: string, text: string): Read {
  try {
    const entries = readObject(text);
    return entries ? { entries } : { problem: `${file} ${NO_OBJECT}` };
  } catch {
    return { problem: `${file} ${NO_OBJECT}` };
  }
}

/** `nx01_arm0123` and `nx01_gpu` are parts of the host `nx01`; a name without a resource is the host itself. */
export const hostOf = (key: string): string => key.replace(/(?<=.)_(?:(?:cpu|arm)\d*|gpu)$/, "");

/** The hosts that AutoDiCE's files name, in the order of the mapping. */
export function autodiceHosts(mapping: string, horizontal: string | null): Names {
  const layers = readNamed("The mapping file", mapping);
  if ("problem" in layers) return layers;
  const divided: Read = horizontal === null ? { entries: {} } : readNamed("The horizontal file", horizontal);
  if ("problem" in divided) return divided;
  const keys = Object.values(divided.entries).flatMap((entry) => (Array.isArray(entry) && Array.isArray(entry[2]) ? entry[2].filter((key) => typeof key === "string") : []));
  return { names: [...new Set([...Object.keys(layers.entries), ...keys].map(hostOf))] };
}

/** The devices that a `{layer: device}` map names. */
export function mapDevices(text: string): Names {
  const map = readNamed("The map", text);
  if ("problem" in map) return map;
  return { names: [...new Set(Object.values(map.entries).filter((device) => typeof device === "string"))] };
}

/** Which registered device each name is, where a person has not said it: the one of the same name, upper and lower case alike. */
export function sameNamed(names: readonly string[], devices: readonly string[]): Record<string, string> {
  const known = new Map(devices.map((device) => [device.toLowerCase(), device]));
  return Object.fromEntries(names.flatMap((name) => (devices.includes(name) ? [[name, name]] : known.has(name.toLowerCase()) ? [[name, known.get(name.toLowerCase()) ?? ""]] : [])));
}

/** Tensors at which the network is cut: a JSON list of names, or one name a line. */
export function readCuts(text: string): string[] {
  try {
    const list: unknown = JSON.parse(text);
    if (Array.isArray(list) && list.every((item) => typeof item === "string")) return list;
  } catch {
    // Not JSON: lines.
  }
  return text.split(/\r?\n/).map((line) => line.trim()).filter(Boolean);
}

/** An imported plan in place of the present one; what the files cannot say stays as it was. */
export function takeOver(plan: Plan, present: Content): Content {
  const { placement, shards, rest } = contentOf(plan);
  return {
    placement,
    shards,
    rest: { ...present.rest, ...rest, blocks: { ...present.rest.blocks, ...rest.blocks }, name: rest.name || present.rest.name, notes: rest.notes || present.rest.notes },
  };
}
