/** Gestures, and keys that mean what the focus is on; and whether their list is open. All other keys are those of commands. */
import { createStore } from "zustand/vanilla";
import type { Command } from "./commands";

export const shortcutsStore = createStore<{ open: boolean }>()(() => ({ open: false }));
export const openShortcuts = (): void => shortcutsStore.setState({ open: true });
export const closeShortcuts = (): void => shortcutsStore.setState({ open: false });

export const GESTURES: readonly { group: Command["group"]; keys: readonly (readonly [keys: string, what: string])[] }[] = [
  {
    group: "Select",
    keys: [
      ["Click", "one layer or block"],
      ["Ctrl Click", "add it or take it away"],
      ["Shift Click", "all layers on the way to here"],
      ["Shift Drag", "a box, from empty canvas"],
      ["Arrows", "walk along the graph or the rows; with Shift, select on the way"],
      ["Esc", "select nothing; leave the search"],
    ],
  },
  {
    group: "Place",
    keys: [
      ["Drag", "layers onto a device; what cannot be says why before you let go"],
      ["Drag ⇕", "the marker between two devices: moves the boundary"],
      ["Alt Click", "take the device of a layer as the brush"],
      ["Right click", "menu of devices; also the menu key, or Shift F10, at the cursor"],
    ],
  },
  {
    group: "Look",
    keys: [
      ["Enter", "details of the layer, or open the block; in the search, the next hit"],
      ["Ctrl Enter", "in the search: select all hits"],
      ["Double click", "the same for a layer or block"],
      ["Wheel", "zoom; drag empty canvas to move it"],
    ],
  },
];
