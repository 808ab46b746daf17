/** Commands that are too many to be listed, such as one for each layer: they are made of what is typed. */
import { useEffect, useId } from "react";
import { useStore } from "zustand";
import { createStore } from "zustand/vanilla";
import type { Command } from "./commands";

export type Finder = (text: string) => readonly Command[];

const finderStore = createStore<{ finders: ReadonlyMap<string, Finder> }>()(() => ({ finders: new Map() }));

/** Offer commands for what is typed, for as long as the component is there. */
export function useFinder(finder: Finder): void {
  const source = useId();
  useEffect(() => {
    finderStore.setState(({ finders }) => ({ finders: new Map(finders).set(source, finder) }));
    return () => finderStore.setState(({ finders }) => ({ finders: new Map([...finders].filter(([other]) => other !== source)) }));
  }, [source, finder]);
}

export const useFinders = (): readonly Finder[] => [...useStore(finderStore, ({ finders }) => finders).values()];
