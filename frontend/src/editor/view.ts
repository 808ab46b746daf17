/** What is seen and selected: not part of the plan, and not undone. */
import { useStore } from "zustand";
import { createStore } from "zustand/vanilla";
import type { Network } from "@/graph/network";
import type { Content } from "@/plan/content";
import type { Blame } from "@/planner/blame";
import type { Troubles } from "./troubles";

export const MEASURES = ["macs", "parameters", "activation", "seconds", "joules"] as const;
export type Measure = (typeof MEASURES)[number];
export const MEASURE_LABELS: Record<Measure, string> = { macs: "MACs", parameters: "Parameters", activation: "Activation bytes", seconds: "Predicted time", joules: "Predicted energy" };

/** Names of the folds that are open, and of those that were when the whole was last wrapped into columns. */
export interface Folds {
  open: readonly string[];
  base: readonly string[];
}

interface ViewState {
  /** The network, and which form of it, that all this is of. */
  network: string | null;
  /** Node indices; layers only. */
  selection: ReadonlySet<number>;
  /** Where a range begins. */
  anchor: number | null;
  /** Where the arrow keys stand. */
  cursor: number | null;
  hits: ReadonlySet<number>;
  /** Whether all but the hits is faint. */
  onlyHits: boolean;
  /** How the layers are shown. */
  mode: "graph" | "table";
  /** The column by which the table's rows are ordered; null: as the network has them. */
  sort: { by: string; down: boolean } | null;
  /** Whether the table's rows stand under their blocks. */
  grouped: boolean;
  /** Null: as many are open as stay readable. */
  folds: Folds | null;
  measure: Measure;
  /** Whether cards are coloured by the measure. */
  heat: boolean;
  /** Whether the small map is wanted. */
  minimap: boolean;
  detailsOpen: boolean;
  /** What the studio's report says of single layers. */
  troubles: Troubles;
  /** Whether the selection is being split. */
  splitting: boolean;
  /** The edge of which it is being chosen how its tensors travel. */
  link: number | null;
  /** The layer at which a split was refused, and why. */
  refused: { layer: string; message: string } | null;
  /** Device name, or "" for "no device", under the drag. */
  dropTarget: string | null;
  /** What the last drop did, or why it was refused, shown at its device. */
  flash: { device: string; text: string; id: number; refused: boolean } | null;
  /** For screen readers. */
  announcement: string;
  /** What limits the plan, marked while it is looked at. */
  blame: Blame | null;
  /** What stands on the devices, or broke down there, as it is drawn above the network. */
  live: { content: Content; stages: readonly { name: string; layers: readonly string[] }[]; lost: ReadonlySet<string> } | null;
  /** The running deployment's plan, to mark what changed since. */
  deployed: Pick<Content, "placement" | "shards"> | null;
}

const initial: ViewState = {
  network: null,
  selection: new Set(),
  anchor: null,
  cursor: null,
  hits: new Set(),
  onlyHits: false,
  mode: "graph",
  sort: null,
  grouped: false,
  folds: null,
  measure: "macs",
  heat: false,
  minimap: true,
  detailsOpen: false,
  troubles: new Map(),
  splitting: false,
  link: null,
  refused: null,
  dropTarget: null,
  flash: null,
  announcement: "",
  blame: null,
  live: null,
  deployed: null,
};

export const viewStore = createStore<ViewState>()(() => initial);
export const useView = <T>(select: (state: ViewState) => T): T => useStore(viewStore, select);

export function resetView(network: string | null): void {
  const { measure, heat, minimap } = viewStore.getState();
  viewStore.setState({ ...initial, network, measure, heat, minimap });
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

const FLASH_MS = 3000;
/** A reason takes longer to read. */
const REFUSAL_MS = 9000;

/** Say at a device what a drop did. */
export function flash(device: string, text: string, refused = false): void {
  flashes += 1;
  clearTimeout(flashTimer);
  viewStore.setState({ flash: { device, text, id: flashes, refused }, announcement: text });
  flashTimer = setTimeout(() => viewStore.setState({ flash: null }), refused ? REFUSAL_MS : FLASH_MS);
}

/** Say at a device, and over the canvas, why nothing was done. */
export const refuse = (device: string, why: string): void => flash(device, why, true);
