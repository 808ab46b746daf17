/** What is seen and selected: not part of the plan, and not undone. */
import { useStore } from "zustand";
import { createStore } from "zustand/vanilla";
import type { Network } from "@/graph/network";
import type { Content } from "@/plan/content";
import type { Blame } from "@/planner/blame";

export const MEASURES = ["macs", "parameters", "activation", "seconds", "joules"] as const;
export type Measure = (typeof MEASURES)[number];
export const MEASURE_LABELS: Record<Measure, string> = { macs: "MACs", parameters: "Parameters", activation: "Activation bytes", seconds: "Predicted time", joules: "Predicted energy" };

/** Names of the folds that are open, and of those that were when the whole was last wrapped into columns. */
export interface Folds {
  open: readonly string[];
  base: readonly string[];
}

interface ViewState {
  /** Node indices; layers only. */
  selection: ReadonlySet<number>;
  /** Where a range begins. */
  anchor: number | null;
  /** Where the arrow keys stand. */
  cursor: number | null;
  hits: ReadonlySet<number>;
  /** Null: as many are open as stay readable. */
  folds: Folds | null;
  measure: Measure;
  /** Whether the small map is wanted. */
  minimap: boolean;
  detailsOpen: boolean;
  /** Layers that the studio's report complains of, with what it says. */
  wrong: ReadonlyMap<string, string>;
  /** Whether the selection is being split. */
  splitting: boolean;
  /** The edge of which it is being chosen how its tensors travel. */
  link: number | null;
  /** The layer at which a split was refused, and why. */
  refused: { layer: string; message: string } | null;
  /** Device name, or "" for "no device", under the drag. */
  dropTarget: string | null;
  /** What the last drop did, shown at its device. */
  flash: { device: string; text: string; id: number } | null;
  /** For screen readers. */
  announcement: string;
  /** What limits the plan, marked while it is looked at. */
  blame: Blame | null;
  /** The running deployment's plan, to mark what changed since. */
  deployed: Pick<Content, "placement" | "shards"> | null;
}

const initial: ViewState = {
  selection: new Set(),
  anchor: null,
  cursor: null,
  hits: new Set(),
  folds: null,
  measure: "macs",
  minimap: true,
  detailsOpen: false,
  wrong: new Map(),
  splitting: false,
  link: null,
  refused: null,
  dropTarget: null,
  flash: null,
  announcement: "",
  blame: null,
  deployed: null,
};

export const viewStore = createStore<ViewState>()(() => initial);
export const useView = <T>(select: (state: ViewState) => T): T => useStore(viewStore, select);

export function resetView(): void {
  const { measure, minimap } = viewStore.getState();
  viewStore.setState({ ...initial, measure, minimap });
}

/** Select these nodes and nothing else. */
export function select(nodes: Iterable<number>, anchor?: number): void {
  const selection = new Set(nodes);
  const first = anchor ?? [...selection][0] ?? null;
  viewStore.setState({ selection, anchor: first, cursor: first, splitting: false, refused: null });
}

export function selectNamed({ layerIndex }: Pick<Network, "layerIndex">, layers: readonly string[]): void {
  select(layers.flatMap((layer) => layerIndex.get(layer) ?? []));
}

/** Add these nodes, or take them away when all of them are selected. */
export function toggleAll(nodes: readonly number[]): void {
  const selection = new Set(viewStore.getState().selection);
  const [first = null] = nodes;
  const isAll = nodes.every((node) => selection.has(node));
  for (const node of nodes) {
    if (isAll) selection.delete(node);
    else selection.add(node);
  }
  viewStore.setState({ selection, anchor: first, cursor: first, splitting: false, refused: null });
}

export function extend(nodes: Iterable<number>): void {
  const { selection } = viewStore.getState();
  viewStore.setState({ selection: new Set([...selection, ...nodes]) });
}

let flashes = 0;
let flashTimer: ReturnType<typeof setTimeout> | undefined;

/** Say at a device what a drop did. */
export function flash(device: string, text: string): void {
  flashes += 1;
  clearTimeout(flashTimer);
  viewStore.setState({ flash: { device, text, id: flashes }, announcement: text });
  flashTimer = setTimeout(() => viewStore.setState({ flash: null }), 3000);
}
