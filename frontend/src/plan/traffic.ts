/** What passes between the devices of two cards, each of which may show many layers. */
import { at, type Network } from "@/graph/network";
import { codecLabel } from "./codecs";
import type { Content } from "./content";
import { devicesOfLayer, divisionsOf, placesOfNode } from "./divisions";
import { crossings } from "./estimate";

export interface Traffic {
  /** Between devices, or from or to the studio; 0 when all stays on one device. */
  bytes: number;
  /** Those of them that no other edge tells: a tensor that several layers of one device take crosses once. */
  toldBytes: number;
  /** To or from the studio, which hands inputs in and takes outputs. */
  isStudio: boolean;
  /** Of each edge those that hand over, and that take: of several, joined by commas. */
  sources: readonly string[];
  sinks: readonly string[];
  /** "" where everything travels as it is. */
  codec: string;
  /** Bytes between parts of divided layers are estimated. */
  isEstimate: boolean;
  /** The edge of the network to ask about how it travels. */
  link: number;
  tensors: readonly string[];
}

const devices = (content: Content, layer: string): string => devicesOfLayer(content, layer).join(", ");

/** The devices of such a list, each by itself. */
export const devicesIn = (joined: readonly string[]): string[] => joined.flatMap((names) => names.split(", "));

/** Sum up the edges of a network that lie between two cards. */
export function trafficOf(network: Network, content: Content, edges: readonly number[]): Traffic | null {
  const divisions = divisionsOf(content.shards);
  const sources = new Set<string>();
  const sinks = new Set<string>();
  const codecs = new Set<string>();
  const tensors = new Set<string>();
  const seen = new Set<string>();
  let [bytes, toldBytes, isStudio, isEstimate] = [0, 0, false, false];
  let link = -1;
  for (const index of edges) {
    const edge = at(network.edges, index);
    const [from, to] = [at(network.nodes, edge.from), at(network.nodes, edge.to)];
    const [above, below] = [devices(content, from.name), devices(content, to.name)];
    const inside = from.kind === "layer" && to.kind === "layer";
    const passing = inside ? crossings(content, from.name, to.name, edge.bytes).reduce((sum, crossing) => sum + crossing.bytes, 0) : 0;
    const ends = !inside && (from.kind === "layer" ? above : below) !== "";
    if (passing === 0 && !ends) continue;
    const amount = inside ? passing : edge.bytes;
    const key = `${edge.from} ${inside ? below : ""} ${edge.tensors.join(" ")}`;
    if (!seen.has(key)) {
      seen.add(key);
      bytes += amount;
      if (!inside || isFirst(network, content, index, below)) toldBytes += amount;
    }
    if (link < 0) link = index;
    isStudio ||= ends;
    isEstimate ||= inside && (divisions.has(from.name) || divisions.has(to.name));
    sources.add(from.kind === "layer" ? above : "studio");
    sinks.add(to.kind === "layer" ? below : "studio");
    codecs.add(codecLabel(content, placesOfNode(content, from), placesOfNode(content, to), edge.tensors));
    for (const tensor of edge.tensors) tensors.add(tensor);
  }
  if (link < 0) return null;
  const codec = codecs.size > 1 ? "mixed" : ([...codecs][0] ?? "");
  return { bytes, toldBytes, isStudio, sources: [...sources], sinks: [...sinks], codec, isEstimate, link, tensors: [...tensors] };
}

const spelled = new WeakMap<Content, WeakMap<readonly number[], string>>();

/** The same in one comparable word, worked out once for a plan and a list of edges: they come into view and go again. */
export function spelledTraffic(network: Network, content: Content, edges: readonly number[]): string {
  let words = spelled.get(content);
  if (!words) spelled.set(content, (words = new WeakMap()));
  let word = words.get(edges);
  if (word === undefined) words.set(edges, (word = JSON.stringify(trafficOf(network, content, edges))));
  return word;
}

/** Whether no earlier edge brings the same to the same devices. */
function isFirst(network: Network, content: Content, index: number, sinks: string): boolean {
  const { from, bytes } = at(network.edges, index);
  return !at(network.outgoing, from).some((other) => {
    const edge = at(network.edges, other);
    return other < index && edge.bytes === bytes && devices(content, at(network.nodes, edge.to).name) === sinks;
  });
}
