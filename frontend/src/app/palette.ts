/** The command palette: whether it is open, and what is typed. */
import { createStore } from "zustand/vanilla";

export const paletteStore = createStore<{ open: boolean; text: string }>()(() => ({ open: false, text: "" }));
export const openPalette = (): void => paletteStore.setState({ open: true, text: "" });
export const closePalette = (): void => paletteStore.setState({ open: false });
export const typeInPalette = (text: string): void => paletteStore.setState({ text });

type Pressed = Pick<KeyboardEvent, "key" | "ctrlKey" | "metaKey" | "altKey">;

/** Take what is typed while the palette is on its way: it must not be keys of commands. Returns whether it is. */
export function typedAhead({ key, ctrlKey, metaKey, altKey }: Pressed): boolean {
  const { open, text } = paletteStore.getState();
  if (!open || ctrlKey || metaKey || altKey) return false;
  if (key === "Escape") closePalette();
  else if (key === "Backspace") typeInPalette(text.slice(0, -1));
  else if (key.length === 1) typeInPalette(text + key);
  return true;
}
