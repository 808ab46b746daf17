/** The planner's panel: whether it is open, what is asked, and which searches answer. Not part of the plan. */
import { useStore } from "zustand";
import { createStore } from "zustand/vanilla";
import type { Job } from "@/api/types";
import type { Content } from "@/plan/content";
import { endPreview } from "@/plan/preview";
import { FIRST_FORM, type QuestionForm } from "./questionForm";
import type { Sample } from "./trace";

export const TABS = ["plan", "best", "front"] as const;
export type Tab = (typeof TABS)[number];

interface PlannerState {
  /** The model that it is about, and its form. */
  model: string;
  open: boolean;
  tab: Tab;
  form: QuestionForm;
  /** The searches that were started here last. */
  jobs: { best: string | null; front: string | null };
  /** Searches that go on, as they were seen last: one that the studio has forgotten ended with it. */
  going: readonly Job[];
  /** The search whose answer fills the graph when it ends, and the plan at its start: edits since then are not overrun. */
  filling: { job: string; content: Content } | null;
  /** How searches came along while this page looked, by their jobs. */
  traces: Readonly<Record<string, readonly Sample[]>>;
}

const first = (model: string): PlannerState => ({ model, open: false, tab: "best", form: FIRST_FORM, jobs: { best: null, front: null }, going: [], filling: null, traces: {} });

export const plannerStore = createStore<PlannerState>()(() => first(""));
export const usePlanner = <T>(select: (state: PlannerState) => T): T => useStore(plannerStore, select);

/** Begin anew for another model; its names of layers are none of this one's. */
export function resetPlanner(model: string): void {
  endPreview();
  if (plannerStore.getState().model !== model) plannerStore.setState(first(model));
}

export const openPlanner = (tab: Tab): void => plannerStore.setState({ open: true, tab });

export function closePlanner(): void {
  endPreview();
  plannerStore.setState({ open: false });
}

export const changeForm = (change: Partial<QuestionForm>): void => plannerStore.setState(({ form }) => ({ form: { ...form, ...change } }));
