/** How tensors travel between places: which entry of the plan counts. */
import type { CodecChoice } from "@/api/types";
import { deviceOf, type Content } from "./content";

export type Codec = CodecChoice["codec"];

/** Every name under which entries may speak of a place: its own, its device's, its replica group's, and any. */
function namesOf(content: Pick<Content, "rest">, places: readonly string[]): Set<string> {
  const groups = Object.entries(content.rest.replicas).filter(([, { places: members }]) => places.some((place) => members.includes(place)));
  return new Set(["*", ...places, ...places.map((place) => deviceOf(content, place)), ...groups.map(([name]) => name)]);
}

/** The entry that counts for a tensor between places; null: it travels as it is. */
export function codecEntry(content: Pick<Content, "rest">, from: readonly string[], to: readonly string[], tensor: string): CodecChoice | null {
  const [makers, takers] = [namesOf(content, from), namesOf(content, to)];
  const fits = ({ producer, consumer, tensors }: CodecChoice) => makers.has(producer) && takers.has(consumer) && (tensors.length === 0 || tensors.includes(tensor));
  return content.rest.codecs.findLast(fits) ?? null;
}

export const codecOf = (content: Pick<Content, "rest">, from: readonly string[], to: readonly string[], tensor: string): Codec => codecEntry(content, from, to, tensor)?.codec ?? "none";

/** What an edge says of its tensors' codecs: each that is not `none`, once. */
export function codecLabel(content: Pick<Content, "rest">, from: readonly string[], to: readonly string[], tensors: readonly string[]): string {
  if (content.rest.codecs.length === 0) return "";
  return [...new Set(tensors.map((tensor) => codecOf(content, from, to, tensor)))].filter((codec) => codec !== "none").join(", ");
}
