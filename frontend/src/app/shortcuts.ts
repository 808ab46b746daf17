/** The keys, and whether their list is open. */
import { createStore } from "zustand/vanilla";

export const shortcutsStore = createStore<{ open: boolean }>()(() => ({ open: false }));
export const openShortcuts = (): void => shortcutsStore.setState({ open: true });

export const SHORTCUTS: readonly { title: string; keys: readonly (readonly [keys: string, what: string])[] }[] = [
  {
    title: "Select",
    keys: [
      ["Click", "one layer"],
      ["Ctrl Click", "add or take away a layer"],
      ["Shift Click", "all layers on the way to here"],
      ["Shift Drag", "a box, from empty canvas"],
      ["Ctrl A", "all layers"],
      ["Esc", "nothing"],
    ],
  },
  {
    title: "Place",
    keys: [
      ["Drag", "layers onto a device"],
      ["1 … 9", "send the selection to that device"],
      ["S", "split the selection over several devices"],
      ["Del", "take the selection off its device"],
      ["Right click", "menu of devices"],
      ["Ctrl Z", "undo"],
      ["Ctrl Shift Z", "redo"],
    ],
  },
  {
    title: "Look",
    keys: [
      ["Arrows", "walk along the graph (with Shift: select on the way)"],
      ["Enter", "details of the layer, or open the block"],
      ["O", "open the block, or fold the one around (with Shift: all like it)"],
      ["[ ]", "fold or open all blocks"],
      ["C", "how what the layer sends, or gets, travels to another device (or press the label on the edge)"],
      ["/ or Ctrl F", "find; Enter goes to the next"],
      ["F", "fit the network"],
      ["+ −", "zoom; so does the wheel"],
      ["?", "this list"],
    ],
  },
];
