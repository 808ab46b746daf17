/** Whether the list of plans is open, and whether the name is being written. */
import { useStore } from "zustand";
import { createStore } from "zustand/vanilla";

interface Switcher {
  open: boolean;
  /** Where the list is to be entered. */
  enterAt: "plans" | "notes";
  naming: boolean;
}

const switcherStore = createStore<Switcher>()(() => ({ open: false, enterAt: "plans", naming: false }));
export const useSwitcher = <T>(select: (state: Switcher) => T): T => useStore(switcherStore, select);

export const openPlans = (enterAt: Switcher["enterAt"] = "plans"): void => switcherStore.setState({ open: true, enterAt });
export const closePlans = (): void => switcherStore.setState({ open: false });
export const setNaming = (naming: boolean): void => switcherStore.setState({ naming });
