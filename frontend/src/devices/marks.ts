/** The devices' marks for cards, without a context that would redraw all of them. */
import { useStore } from "zustand";
import { createStore } from "zustand/vanilla";
import { COLOR_COUNT, type DeviceMark, type Marks } from "./palette";

export const marksStore = createStore<{ marks: Marks }>()(() => ({ marks: new Map() }));

export function setMarks(marks: Marks): void {
  const old = marksStore.getState().marks;
  const same = old.size === marks.size && [...marks.keys()].every((name, i) => [...old.keys()][i] === name);
  if (!same) marksStore.setState({ marks });
}

export const useMark = (device: string | undefined): DeviceMark | null =>
  useStore(marksStore, ({ marks }) => (device === undefined ? null : (marks.get(device) ?? null)));

export const useMarks = (): Marks => useStore(marksStore, ({ marks }) => marks);

/** Classes that give an element `--dev` (colour) and its pattern. */
export function markClass(mark: DeviceMark | null, placed: boolean): string {
  if (mark) return `dev-${mark.slot % COLOR_COUNT} pat-${mark.pattern}`;
  return placed ? "dev-gone" : "dev-none";
}
