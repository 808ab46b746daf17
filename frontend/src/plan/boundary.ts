/** Where two devices meet along the network, and moving that front: what lies before it is on one, what lies after on the other. Pure. */
import { own } from "@/app/own";
import { Heap } from "@/graph/heap";
import { at, type Network } from "@/graph/network";
import { divisionsOf } from "./divisions";
import type { Content } from "./content";

/** Layers that pass the front together: one, or all that a folded block holds of the two devices' neighbouring runs. */
export type Unit = readonly number[];

export interface Boundary {
  /** The device, as the plan names it, that comes first along the edges; and the one that takes from it. */
  before: string;
  after: string;
  /** What can change sides, in a topological order: first all of `before`, then all of `after`. */
  units: readonly Unit[];
  /** How many units lie before the front. A unit that it cuts through lies after it. */
  front: number;
  /** Whether the unit at the front holds layers of both. */
  cuts: boolean;
  /** Edges of the network that cross here, in order. */
  edges: readonly number[];
}

/** Which layers move together: those of the same number. */
export type UnitOf = (node: number) => number;

const byPlace = (a: number, b: number): number => a - b;

/**
 * Every place where tensors pass from one device to the next, in the order of the network. Divided layers and replicas have fronts of
 * their own and are left out. None where there are more than `most`: each takes a walk through the network.
 */
export function boundariesOf(network: Network, content: Content, unitOf: UnitOf, most = Infinity): Boundary[] {
  const places = placesOf(network, content);
  const runs = runsOf(network, places);
  const pairs = new Map<string, number[]>();
  for (const { index, from, to } of network.edges) {
    const [a, b] = [places[from], places[to]];
    if (a == null || b == null || a === b) continue;
    const key = `${at(runs, from)} ${at(runs, to)}`;
    const known = pairs.get(key);
    if (known) known.push(index);
    else pairs.set(key, [index]);
  }
  if (pairs.size > most) return [];
  const found: Boundary[] = [];
  for (const edges of pairs.values()) {
    // Of two runs that hand to and fro each way is a front of its own: it begins at its first edge.
    const boundary = boundaryAt(network, places, runs, edges, unitOf);
    if (boundary) found.push(boundary);
  }
  return found.sort((a, b) => at(a.edges, 0) - at(b.edges, 0));
}

/** The device of each node as the plan names it; null where it has none of its own. */
function placesOf(network: Network, { placement, shards, rest }: Content): (string | null)[] {
  const divisions = divisionsOf(shards);
  return network.nodes.map(({ kind, name }) => {
    const place = kind === "layer" && !divisions.has(name) ? own(placement, name) : undefined;
    return place === undefined || Object.hasOwn(rest.replicas, place) ? null : place;
  });
}

/** Layers of one device that hang together have the same number; -1 for nodes without a device of their own. */
function runsOf(network: Network, places: readonly (string | null)[]): Int32Array {
  const parent = Int32Array.from(network.nodes, ({ index }) => index);
  const root = (node: number): number => {
    let top = node;
    while (at(parent, top) !== top) top = at(parent, top);
    while (at(parent, node) !== top) [node, parent[node]] = [at(parent, node), top];
    return top;
  };
  for (const { from, to } of network.edges) if (places[from] != null && places[from] === places[to]) parent[root(to)] = root(from);
  return Int32Array.from(network.nodes, ({ index }) => (places[index] == null ? -1 : root(index)));
}

function boundaryAt(network: Network, places: readonly (string | null)[], runs: Int32Array, edges: readonly number[], unitOf: UnitOf): Boundary | null {
  const first = at(network.edges, at(edges, 0));
  const [before, after] = [places[first.from], places[first.to]];
  if (before == null || after == null) return null;
  // A run may hang together by an edge around the other one: only what can lie before the front, or after it, is meant.
  const below = new Set<number>();
  const isBelow = (node: number): boolean => below.has(node);
  const members = (run: number): number[] => network.nodes.filter(({ index }) => runs[index] === run).map(({ index }) => index);
  const above = ancestors(network, first.from);
  const tail = members(at(runs, first.to)).filter((node) => !above.has(node));
  spread(network, tail, below);
  const head = members(at(runs, first.from)).filter((node) => !isBelow(node));
  const zone = new Set([...head, ...tail]);
  const here = edges.filter((index) => {
    const { from, to } = at(network.edges, index);
    return zone.has(from) && zone.has(to);
  });
  const isBefore = (node: number): boolean => places[node] === before;
  const units = ordered(network, zone, unitOf, isBefore);
  const front = units.findIndex((unit) => !unit.every(isBefore));
  if (units.length < 2 && !units.some((unit) => unit.some(isBefore) && !unit.every(isBefore))) return null;
  return { before, after, units, front, cuts: at(units, front).some(isBefore), edges: here };
}

function ancestors(network: Network, node: number): Set<number> {
  const seen = new Set([node]);
  for (const one of seen) for (const edge of at(network.incoming, one)) seen.add(at(network.edges, edge).from);
  return seen;
}

/** Add nodes and all that depends on them. */
function spread(network: Network, nodes: readonly number[], seen: Set<number>): void {
  for (const node of nodes) seen.add(node);
  for (const one of seen) for (const edge of at(network.outgoing, one)) seen.add(at(network.edges, edge).to);
}

/** The layers in units, so that none comes before what it depends on; those of the first device come first where that leaves a choice. */
function ordered(network: Network, zone: ReadonlySet<number>, unitOf: UnitOf, isBefore: (node: number) => boolean): Unit[] {
  const units = new Map<number, number[]>();
  for (const node of [...zone].sort(byPlace)) {
    const unit = units.get(unitOf(node));
    if (unit) unit.push(node);
    else units.set(unitOf(node), [node]);
  }
  const rank = (nodes: readonly number[]): number => (nodes.every(isBefore) ? 0 : nodes.some(isBefore) ? 1 : 2);
  const waiting = new Map([...units.keys()].map((unit) => [unit, new Set<number>()]));
  const next = new Map<number, Set<number>>();
  for (const node of zone) {
    for (const edge of at(network.outgoing, node)) {
      const { to } = at(network.edges, edge);
      const [from, into] = [unitOf(node), unitOf(to)];
      if (!zone.has(to) || from === into) continue;
      waiting.get(into)?.add(from);
      (next.get(from) ?? next.set(from, new Set()).get(from))?.add(into);
    }
  }
  // What is best is asked once for each unit: of those of the first device, then of both, then of the second, the first in the network.
  const keys = new Map([...units].map(([unit, nodes]) => [unit, rank(nodes) * network.nodes.length + at(nodes, 0)]));
  const result: Unit[] = [];
  const open = new Heap<number>((unit) => keys.get(unit) ?? 0);
  for (const [unit, needs] of waiting) if (needs.size === 0) open.push(unit);
  for (let best = open.pop(); best !== undefined; best = open.pop()) {
    result.push(units.get(best) ?? []);
    for (const unit of next.get(best) ?? []) {
      const needs = waiting.get(unit);
      needs?.delete(best);
      if (needs?.size === 0) open.push(unit);
    }
  }
  return result;
}

/** The fronts that can be chosen: on each side at least one unit stays. */
export const firstFront = ({ units }: Boundary): number => Math.min(1, units.length - 1);
export const lastFront = ({ units }: Boundary): number => Math.max(units.length - 1, 1);

/** A front within what can be chosen. */
export const bounded = (boundary: Boundary, front: number): number => Math.min(lastFront(boundary), Math.max(firstFront(boundary), front));

/** The front one unit further down (1) or up (-1). A unit that is cut through goes wholly to one side first. */
export function stepped(boundary: Boundary, by: 1 | -1): number {
  if (boundary.cuts && by === -1) return bounded(boundary, boundary.front);
  return bounded(boundary, boundary.front + by);
}

/** Which layers are where when the front lies there, as far as that differs from now. */
export function movedTo(network: Network, { placement }: Content, { before, after, units }: Boundary, front: number): Map<string, string> {
  const moves = new Map<string, string>();
  units.forEach((unit, place) => {
    const device = place < front ? before : after;
    for (const node of unit) {
      const { name } = at(network.nodes, node);
      if (own(placement, name) !== device) moves.set(name, device);
    }
  });
  return moves;
}

/** The last layer before the front: it names the place. */
export function lastBefore(network: Network, boundary: Boundary, front = boundary.front): string {
  const unit = boundary.units[front - 1] ?? at(boundary.units, 0);
  return at(network.nodes, at(unit, unit.length - 1)).name;
}
