/** Plan edits as data: each knows how to be done and undone. */
import type { Placement } from "./placement";

export interface Change {
  layer: string;
  from: string | null;
  to: string | null;
}

/** One step of the history: moving some layers, however it was done. */
export interface PlanDelta {
  kind: "assign";
  label: string;
  changes: readonly Change[];
}

/** The edit that puts layers onto a device (null: takes them off), leaving out those already there. */
export function assign(placement: Placement, layers: readonly string[], device: string | null, label: string): PlanDelta | null {
  const changes = layers
    .map((layer) => ({ layer, from: placement[layer] ?? null, to: device }))
    .filter(({ from, to }) => from !== to);
  return changes.length === 0 ? null : { kind: "assign", label, changes };
}

/** The edit that makes `placement` equal to `target`. */
export function replaceBy(placement: Placement, target: Placement, label: string): PlanDelta | null {
  const layers = new Set([...Object.keys(placement), ...Object.keys(target)]);
  const changes = [...layers]
    .map((layer) => ({ layer, from: placement[layer] ?? null, to: target[layer] ?? null }))
    .filter(({ from, to }) => from !== to);
  return changes.length === 0 ? null : { kind: "assign", label, changes };
}

export function apply(placement: Placement, delta: PlanDelta): Placement {
  const moved = new Map(delta.changes.map(({ layer, to }) => [layer, to]));
  const kept = Object.entries(placement).filter(([layer]) => !moved.has(layer));
  const added = [...moved].filter((entry): entry is [string, string] => entry[1] !== null);
  return Object.fromEntries([...kept, ...added]);
}

export function invert(delta: PlanDelta): PlanDelta {
  return { ...delta, changes: delta.changes.map(({ layer, from, to }) => ({ layer, from: to, to: from })) };
}
