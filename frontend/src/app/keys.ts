/** Keys as people read them (`Ctrl Shift Z or Ctrl Y`), and whether one was pressed. Pure. */

export interface Stroke {
  key: string;
  ctrl: boolean;
  shift: boolean;
  alt: boolean;
}

type Pressed = Pick<KeyboardEvent, "key" | "code" | "ctrlKey" | "metaKey" | "shiftKey" | "altKey">;

/** What browsers call it. */
const NAMES: Readonly<Record<string, readonly string[]>> = { del: ["Delete", "Backspace"], esc: ["Escape"], space: [" "], "−": ["-"], "+": ["+", "="] };

export function strokesOf(keys: string): Stroke[] {
  return keys.split(" or ").map((combination) => {
    const parts = combination.trim().split(/\s+/);
    const has = (name: string) => parts.slice(0, -1).some((part) => part.toLowerCase() === name);
    return { key: parts.at(-1) ?? "", ctrl: has("ctrl"), shift: has("shift"), alt: has("alt") };
  });
}

export function isPressed({ key, ctrl, shift, alt }: Stroke, event: Pressed): boolean {
  if ((event.ctrlKey || event.metaKey) !== ctrl || event.altKey !== alt) return false;
  const isLetter = /^[a-z]$/i.test(key);
  // Where another character needs Shift depends on the keyboard.
  if ((isLetter || key.length > 1) && event.shiftKey !== shift) return false;
  const names = NAMES[key.toLowerCase()] ?? [key];
  if (names.some((name) => name.toLowerCase() === event.key.toLowerCase())) return true;
  // A keyboard of another script has its letters at the same places.
  return isLetter && !/^[\x20-\x7e]$/.test(event.key) && event.code === `Key${key.toUpperCase()}`;
}

/** A character alone: it may be switched off, because it may be pressed by mistake, or by speech. */
export const isSingle = ({ key, ctrl, alt }: Stroke): boolean => !ctrl && !alt && key.length === 1;

/** What a field to type in does with it itself. */
const editsText = ({ key, ctrl, alt }: Stroke): boolean => !/^F\d+$/.test(key) && ((!ctrl && !alt) || (ctrl && /^[acvxyz]$/i.test(key)));

/** Whether a stroke is meant for commands when the focus is there. Menus, lists and dialogs take their keys themselves. */
export function isFree(stroke: Stroke, focus: Element | null): boolean {
  if (!focus) return true;
  if (focus.closest("dialog, [role=dialog], [role=menu], [role=listbox]")) return false;
  const field = focus.closest("input:not([type=checkbox], [type=radio]), textarea, select, [contenteditable]");
  return field === null || !editsText(stroke);
}

/** As this machine's keyboard has it. */
export function spellKeys(combination: string): string {
  const isMac = typeof navigator !== "undefined" && /Mac|iPhone|iPad/.test(navigator.platform);
  return isMac ? combination.replace("Ctrl", "⌘") : combination;
}
