/** The columns beside the canvas: how wide the planner is, and whether the devices are folded. Kept by this browser. */
import { useViewportSize } from "@mantine/hooks";
import { useStore } from "zustand";
import { createStore } from "zustand/vanilla";

interface Panels {
  plannerWidth: number;
  /** Whether the devices are folded to their signs: without the planner, and beside it; null: as there is room. */
  folded: { alone: boolean | null; beside: boolean | null };
}

export const PLANNER_WIDTH = { least: 300, usual: 360, wide: 480, most: 640 } as const;
export const DEVICES_WIDTH = 320;
export const RAIL_WIDTH = 68;

/** Windows narrower than this have no room for the planner, the devices and a graph that can be read. */
const ROOMY = 1600;
/** And narrower ones, such as an upright tablet, none for the devices beside the graph alone. */
const UPRIGHT = 900;
/** The graph keeps at least so much. */
const GRAPH = 380;

const KEY = "panels";
const FIRST: Panels = { plannerWidth: PLANNER_WIDTH.usual, folded: { alone: null, beside: null } };

/** What was kept, as far as it makes sense. */
export function readPanels(text: string | null): Panels {
  if (text === null) return FIRST;
  try {
    const { plannerWidth, folded } = JSON.parse(text) as Partial<{ plannerWidth: unknown; folded: Partial<Record<"alone" | "beside", unknown>> }>;
    return {
      plannerWidth: typeof plannerWidth === "number" && Number.isFinite(plannerWidth) ? plannerWidth : FIRST.plannerWidth,
      folded: { alone: typeof folded?.alone === "boolean" ? folded.alone : null, beside: typeof folded?.beside === "boolean" ? folded.beside : null },
    };
  } catch {
    return FIRST;
  }
}

/** Whether the devices are folded in a window of that width. */
export const isFolded = ({ folded }: Pick<Panels, "folded">, besidePlanner: boolean, windowWidth: number): boolean => (besidePlanner ? (folded.beside ?? windowWidth < ROOMY) : (folded.alone ?? windowWidth < UPRIGHT));

/** The planner's width in a window of that width: as wide as it was made, but the graph keeps its own. */
export function plannerWidthIn(asked: number, folded: boolean, windowWidth: number): number {
  const room = windowWidth - (folded ? RAIL_WIDTH : DEVICES_WIDTH) - GRAPH;
  return Math.round(Math.max(Math.min(asked, PLANNER_WIDTH.most, room), PLANNER_WIDTH.least));
}

function kept(): Panels {
  try {
    return readPanels(localStorage.getItem(KEY));
  } catch {
    // A browser may refuse to keep anything.
    return FIRST;
  }
}

export const panelStore = createStore<Panels>()(kept);
panelStore.subscribe((panels) => {
  try {
    localStorage.setItem(KEY, JSON.stringify(panels));
  } catch {
    // It is as it is until the page is left.
  }
});

export interface Columns {
  folded: boolean;
  plannerWidth: number;
  fold: (folded: boolean) => void;
}

/** How the columns stand now. */
export function useColumns(besidePlanner: boolean): Columns {
  const panels = useStore(panelStore);
  const { width } = useViewportSize();
  // The first time nothing was measured yet.
  const windowWidth = width || window.innerWidth;
  const folded = isFolded(panels, besidePlanner, windowWidth);
  const fold = (next: boolean) => panelStore.setState({ folded: { ...panels.folded, [besidePlanner ? "beside" : "alone"]: next } });
  return { folded, plannerWidth: plannerWidthIn(panels.plannerWidth, folded, windowWidth), fold };
}

export const widenPlanner = (plannerWidth: number): void => panelStore.setState({ plannerWidth: Math.min(Math.max(plannerWidth, PLANNER_WIDTH.least), PLANNER_WIDTH.most) });
