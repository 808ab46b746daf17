/** What every card and edge of one opened model needs; it never changes while the model is open, so nothing redraws for it. */
import { createContext, useContext } from "react";
import type { Layout } from "@/graph/layout";
import type { Network } from "@/graph/network";
import type { Measure } from "./view";

export interface Scene {
  network: Network;
  layout: Layout;
  /** The largest value of each measure, for the bars. */
  most: Record<Measure, number>;
}

export const SceneContext = createContext<Scene | null>(null);

export function useScene(): Scene {
  const scene = useContext(SceneContext);
  if (!scene) throw new Error("outside the editor");
  return scene;
}
