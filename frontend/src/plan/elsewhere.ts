/** What another window did, as one step of our history. Our own steps stay the ones that undo takes back first. Pure. */
import { plural } from "@/app/format";
import { compose, layersTouched, type PlanDelta } from "./delta";
import { touchedLayers } from "./divisions";
import { weightOf, type History, type HistoryStep } from "./history";

function layersOf({ changes, shards }: PlanDelta): Set<string> {
  const divided = shards ? [shards.from, shards.to].flatMap((list) => [...touchedLayers(list).values()].flat()) : [];
  return new Set([...changes.map(({ layer }) => layer), ...divided]);
}

/** Whether two steps do the same in whichever order. */
function independent(a: PlanDelta, b: PlanDelta): boolean {
  if ((a.shards && b.shards) || (a.rest && b.rest)) return false;
  const [mine, theirs] = [layersOf(a), layersOf(b)];
  return [...mine].every((layer) => !theirs.has(layer));
}

const EDITED = "Edited in another window";

export function labelElsewhere(delta: PlanDelta): string {
  const layers = layersTouched(delta);
  return `${EDITED}: ${layers > 0 ? plural(layers, "layer") : "settings"}`;
}

/** The history with a step of another window: below our own steps as far as they have nothing to do with it, and together with theirs before. */
export function weave(history: History, delta: PlanDelta, at: number): History {
  const { past, future } = history;
  let place = past.length;
  while (place > 0 && !past[place - 1]?.elsewhere && independent((past[place - 1] as HistoryStep).delta, delta)) place -= 1;
  const before = past[place - 1];
  const whole = before?.elsewhere ? compose(before.delta, delta) : delta;
  const start = before?.elsewhere ? place - 1 : place;
  const step = whole && { delta: { ...whole, label: labelElsewhere(whole) }, at, elsewhere: true };
  // What was undone can be done again as long as it has nothing to do with the step.
  const blocked = future.findLastIndex((undone) => !independent(undone.delta, delta));
  const kept = future.slice(blocked + 1);
  const woven = [...past.slice(0, start), ...(step ? [step] : []), ...past.slice(place)];
  return { ...history, past: woven, future: kept, weight: [...woven, ...kept].reduce((sum, one) => sum + weightOf(one.delta), 0) };
}
