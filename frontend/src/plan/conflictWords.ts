/** What contradicts between two windows, in words: what it is about, and what each side says. */
import { plural } from "@/app/format";
import { own } from "@/app/own";
import { placesOf, sameValue, type Content, type Rest } from "./content";
import { divisionsOf } from "./divisions";
import type { Conflict } from "./merge";
import { describeDivision, listLayers } from "./words";

const SETTING_WORDS: Record<keyof Rest, string> = {
  blocks: "Block",
  resources: "Part of a device",
  replicas: "Replicas",
  codecs: "How tensors travel",
  max_change: "Allowed change of the answers",
  micro_batch: "Frames in one go",
  name: "Name",
  notes: "Notes",
};

const LONGEST = 120;
const short = (text: string): string => (text.length > LONGEST ? `${text.slice(0, LONGEST)}…` : text);

export function conflictTitle({ layers, setting }: Conflict): string {
  if (!setting) return listLayers(layers);
  const { name, entry } = setting;
  return entry === null || name === "codecs" ? SETTING_WORDS[name] : `${SETTING_WORDS[name]} ${entry}`;
}

function placeWords(content: Content, layer: string): string {
  const division = divisionsOf(content.shards).get(layer);
  if (division) return describeDivision(division);
  const place = own(content.placement, layer);
  if (place === undefined) return "no device";
  return own(content.rest.replicas, place) ? `replicas on ${placesOf(content, place).join(", ")}` : place;
}

function valueWords(value: unknown): string {
  if (value === undefined) return "none";
  if (typeof value === "string") return value === "" ? "none" : value;
  if (Array.isArray(value)) return plural(value.length, value.every((item) => typeof item === "string") ? "layer" : "entry").replace(/entrys$/, "entries");
  if (typeof value === "object" && value !== null) {
    const { places, device } = value as { places?: unknown; device?: unknown };
    if (Array.isArray(places)) return places.join(", ");
    if (typeof device === "string") return device;
  }
  return JSON.stringify(value);
}

/** What one side says of it. */
export function conflictSide({ layers, setting }: Conflict, content: Content): string {
  if (setting) {
    const { name, entry } = setting;
    if (name === "codecs" && entry !== null) return valueWords(content.rest.codecs.find(({ producer, consumer, tensors }) => sameValue(JSON.parse(entry), [producer, consumer, [...tensors].sort()]))?.codec);
    const value: unknown = content.rest[name];
    return short(valueWords(entry === null ? value : own(value as Record<string, unknown>, entry)));
  }
  const words = new Map<string, string[]>();
  for (const layer of layers) {
    const said = placeWords(content, layer);
    words.set(said, [...(words.get(said) ?? []), layer]);
  }
  if (words.size <= 1) return [...words.keys()][0] ?? "no device";
  return [...words].map(([said, where]) => `${listLayers(where)}: ${said}`).join("; ");
}
