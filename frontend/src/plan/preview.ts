/** Another plan, shown on the canvas for as long as it is looked at; the plan under the hand stays as it is. */
import { useStore } from "zustand";
import { createStore } from "zustand/vanilla";
import type { Content } from "./content";
import { planStore } from "./store";

interface Preview {
  /** Null: the plan under the hand is shown. */
  content: Content | null;
  /** Says which it is. */
  label: string;
}

const NOTHING: Preview = { content: null, label: "" };

export const previewStore = createStore<Preview>()(() => NOTHING);

export const showPreview = (content: Content, label: string): void => previewStore.setState({ content, label });

export function endPreview(): void {
  if (previewStore.getState().content !== null) previewStore.setState(NOTHING);
}

export const usePreviewLabel = (): string | null => useStore(previewStore, ({ content, label }) => (content === null ? null : label));

const now = (): Content => previewStore.getState().content ?? planStore.getState().content;

/** One store for both: cards ask it a dozen times each. */
export const shownStore = createStore<{ content: Content }>()(() => ({ content: now() }));
const follow = (): void => {
  if (shownStore.getState().content !== now()) shownStore.setState({ content: now() });
};
planStore.subscribe(follow);
previewStore.subscribe(follow);

/** What the canvas shows: the plan that is looked at, or else the one under the hand. */
export const useShownPlan = <T>(select: (content: Content) => T): T => useStore(shownStore, ({ content }) => select(content));
