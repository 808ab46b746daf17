/** All that a card shows, in one store: a card that comes into view subscribes once, and not for each of its marks. */
import { useStore } from "zustand";
import { useShallow } from "zustand/react/shallow";
import { createStore } from "zustand/vanilla";
import { marksStore } from "@/devices/marks";
import { shownStore } from "@/plan/preview";
import { comparingStore } from "@/plans/comparing";
import { costsStore } from "@/profiles/costs";
import { viewStore } from "./view";

const read = () => ({ content: shownStore.getState().content, view: viewStore.getState(), marks: marksStore.getState().marks, costs: costsStore.getState().costs, other: comparingStore.getState().other });

export type Seen = ReturnType<typeof read>;

const seenStore = createStore<Seen>()(read);
for (const store of [shownStore, viewStore, marksStore, costsStore, comparingStore]) store.subscribe(() => seenStore.setState(read()));

/** `select` makes a flat record of what is shown; the card is drawn anew when one of its values changes. */
export const useSeen = <T extends object>(select: (seen: Seen) => T): T => useStore(seenStore, useShallow(select));
