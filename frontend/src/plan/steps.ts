/** The plan before its last step, which figures are shown old beside new of. Kept from the first edit on, whoever asks for it when. */
import { useStore } from "zustand";
import { createStore } from "zustand/vanilla";
import type { Content } from "./content";
import type { History } from "./history";
import { planStore } from "./store";

export interface Steps {
  content: Content;
  /** The step that led here, however often a gesture goes on with it. */
  step: string;
  /** The plan before that step; null: there was none. */
  before: Content | null;
  /** Another number for each edit; 0 until the first one. */
  edit: number;
}

/** What is kept once the plan is `content`. */
export function nextSteps(steps: Steps, content: Content, { past, future, dropped }: History): Steps {
  if (steps.content === content) return steps;
  const step = `${past.length + dropped} ${past.at(-1)?.at ?? ""}`;
  const isOpened = past.length === 0 && future.length === 0;
  const goesOn = steps.step === step && steps.before !== null;
  return { content, step, before: isOpened ? null : goesOn ? steps.before : steps.content, edit: isOpened ? 0 : steps.edit + 1 };
}

const stepsStore = createStore<Steps>()(() => ({ content: planStore.getState().content, step: "0 ", before: null, edit: 0 }));
planStore.subscribe(({ content, history }) => stepsStore.setState((steps) => nextSteps(steps, content, history)));

export const useSteps = (): Steps => useStore(stepsStore);
export const stepsNow = (): Steps => stepsStore.getState();
