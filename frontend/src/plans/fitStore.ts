/** A plan of another version of the network, of which the person is asked whether what fits is taken. */
import { createStore } from "zustand/vanilla";
import type { Fit } from "@/plan/fitting";

export interface Asked {
  file: string;
  why: string;
  fit: Fit;
  answer: (take: boolean) => void;
}

export const fitStore = createStore<{ asked: Asked | null }>()(() => ({ asked: null }));

/** Whether the person takes what fits. */
export function askWhetherFits(what: Omit<Asked, "answer">): Promise<boolean> {
  return new Promise((resolve) => {
    const answer = (take: boolean) => {
      fitStore.setState({ asked: null });
      resolve(take);
    };
    fitStore.getState().asked?.answer(false);
    fitStore.setState({ asked: { ...what, answer } });
  });
}
