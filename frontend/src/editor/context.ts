/** What every card and edge of one opened model needs; it changes when other folds are open, not when the plan does. */
import { createContext, useContext } from "react";
import type { FoldTree } from "@/graph/folds";
import type { Layout } from "@/graph/layout";
import type { Network } from "@/graph/network";
import type { Measure } from "./view";

export interface Scene {
  network: Network;
  tree: FoldTree;
  layout: Layout;
  /** The largest value of each measure among the cards, for the bars. */
  most: Record<Measure, number>;
}

export const SceneContext = createContext<Scene | null>(null);

export function useScene(): Scene {
  const scene = useContext(SceneContext);
  if (!scene) throw new Error("outside the editor");
  return scene;
}
