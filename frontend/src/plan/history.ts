/** The steps of a plan, done and undone. Each is kept as what it changed, so that ten thousand small ones need little room. Pure. */
import { apply, compose, composeAll, invert, type PlanDelta } from "./delta";
import type { Content } from "./content";

export interface HistoryStep {
  /** Its label is what the step is called. */
  delta: PlanDelta;
  /** When it was done, in milliseconds since 1970. */
  at: number;
  /** Done in another window, and taken over. */
  elsewhere?: boolean;
}

export interface History {
  /** The oldest first. */
  past: readonly HistoryStep[];
  /** What was undone, the next to do again last. */
  future: readonly HistoryStep[];
  /** How many of the oldest steps were let go, because there was no more room. */
  dropped: number;
  /** What `past` and `future` hold, by `weightOf`. */
  weight: number;
}

export const NO_HISTORY: History = { past: [], future: [], dropped: 0, weight: 0 };

/**
 * How much the history holds: changes of layers, each of about 60 bytes, so some 60 MB at most. A thousand steps that
 * each move every layer of a network of 1,000, or a hundred thousand that move a few: nobody's hand gets there.
 */
export const HISTORY_ROOM = 1_000_000;

const STEP_WEIGHT = 6;
const CHARS_PER_CHANGE = 30;

/** About how much a step holds, in changes of layers. What it shares with the steps around it is theirs. */
export function weightOf({ changes, shards, rest }: PlanDelta): number {
  const made = shards ? shards.to.filter((sharding) => !shards.from.includes(sharding)) : [];
  const texts = rest && rest.from.notes !== rest.to.notes ? rest.to.notes.length / CHARS_PER_CHANGE : 0;
  return STEP_WEIGHT + changes.length + made.reduce((sum, { layers, devices }) => sum + layers.length + devices.length, 0) + texts;
}

const weightOfAll = (steps: readonly HistoryStep[]): number => steps.reduce((sum, { delta }) => sum + weightOf(delta), 0);

/** With one more step: what was undone cannot be done again, and the oldest go where there is no room. */
export function remember(history: History, step: HistoryStep, room = HISTORY_ROOM): History {
  const { past, dropped, weight } = withoutFuture(history);
  let held = weight + weightOf(step.delta);
  let first = 0;
  for (; held > room && first < past.length; first += 1) held -= weightOf((past[first] as HistoryStep).delta);
  return { past: [...past.slice(first), step], future: [], dropped: dropped + first, weight: held };
}

/** What was undone cannot be done again. */
export const withoutFuture = (history: History): History => ({ ...history, future: [], weight: history.weight - weightOfAll(history.future) });

/** The newest step together with what comes now: both are one. Where they cancel each other out, there was none. */
export function amend(history: History, delta: PlanDelta): History {
  const last = history.past.at(-1);
  if (!last) return history;
  const both = compose(last.delta, delta);
  const past = history.past.slice(0, -1);
  const weight = history.weight - weightOf(last.delta) + (both ? weightOf(both) : 0);
  return { ...history, past: both ? [...past, { delta: both, at: last.at }] : past, weight };
}

/** Go to where so many steps are done: back or forth by many at once. */
export function travel(content: Content, history: History, done: number): { content: Content; history: History } {
  const { past, future } = history;
  const target = Math.min(Math.max(done, 0), past.length + future.length);
  if (target < past.length) {
    const undone = past.slice(target).reverse();
    return { content: applyAll(content, undone.map(({ delta }) => invert(delta))), history: { ...history, past: past.slice(0, target), future: [...future, ...undone] } };
  }
  const count = target - past.length;
  const redone = future.slice(future.length - count).reverse();
  return { content: applyAll(content, redone.map(({ delta }) => delta)), history: { ...history, past: [...past, ...redone], future: future.slice(0, future.length - count) } };
}

function applyAll(content: Content, deltas: readonly PlanDelta[]): Content {
  const all = composeAll(deltas);
  return all ? apply(content, all) : content;
}
