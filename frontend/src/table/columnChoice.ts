/** Which columns are shown; kept by this browser. */
import { useStore } from "zustand";
import { createStore } from "zustand/vanilla";
import { COLUMN_IDS, type ColumnId } from "./columns";

const KEY = "table-columns";

/** What was kept, as far as it makes sense; null: those that say something. */
export function readColumns(text: string | null): ColumnId[] | null {
  if (text === null) return null;
  try {
    const kept: unknown = JSON.parse(text);
    if (!Array.isArray(kept)) return null;
    const known = COLUMN_IDS.filter((id) => kept.includes(id));
    return known.includes("name") ? known : null;
  } catch {
    return null;
  }
}

function kept(): ColumnId[] | null {
  try {
    return readColumns(localStorage.getItem(KEY));
  } catch {
    // A browser may refuse to keep anything.
    return null;
  }
}

const columnStore = createStore<{ chosen: ColumnId[] | null }>()(() => ({ chosen: kept() }));
columnStore.subscribe(({ chosen }) => {
  try {
    if (chosen === null) localStorage.removeItem(KEY);
    else localStorage.setItem(KEY, JSON.stringify(chosen));
  } catch {
    // It is as it is until the page is left.
  }
});

export const useChosenColumns = (): ColumnId[] | null => useStore(columnStore, ({ chosen }) => chosen);
export const chooseColumns = (chosen: ColumnId[] | null): void => columnStore.setState({ chosen });
