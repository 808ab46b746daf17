/** What a person can do by name: the command palette, the keys and their list are made of it. Whoever can do a thing registers it. */
import { useEffect, useId } from "react";
import { useStore } from "zustand";
import { createStore } from "zustand/vanilla";

export const COMMAND_GROUPS = ["Plan", "Place", "Select", "Look", "Run", "Go to"] as const;

export interface Command {
  /** Unique, as `plan.duplicate`. */
  id: string;
  group: (typeof COMMAND_GROUPS)[number];
  title: string;
  /** As a person reads them: `Ctrl Z`, `/ or Ctrl F`. Pressing them does it, unless what has the focus took the key for itself. */
  keys?: string;
  /** Other words by which it is found. */
  words?: string;
  /** Why it cannot be done now. */
  unable?: string | null;
  run: () => void;
}

const commandStore = createStore<{ sources: ReadonlyMap<string, readonly Command[]> }>()(() => ({ sources: new Map() }));

/** Offer commands for as long as the component is there. Give the same array while nothing changed. */
export function useCommands(commands: readonly Command[]): void {
  const source = useId();
  useEffect(() => {
    commandStore.setState(({ sources }) => ({ sources: new Map(sources).set(source, commands) }));
  }, [source, commands]);
  // Apart, so that another array keeps its place among the sources.
  useEffect(() => () => commandStore.setState(({ sources }) => ({ sources: new Map([...sources].filter(([other]) => other !== source)) })), [source]);
}

/** Two that offer the same are one. */
const flat = (sources: ReadonlyMap<string, readonly Command[]>): readonly Command[] => [...new Map([...sources.values()].flat().map((command) => [command.id, command])).values()];

export const allCommands = (): readonly Command[] => flat(commandStore.getState().sources);
export const useAllCommands = (): readonly Command[] => flat(useStore(commandStore, ({ sources }) => sources));
