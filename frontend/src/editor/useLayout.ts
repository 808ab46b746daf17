/** Asks the worker for the layout of what is shown in a window's shape; the last picture stays until the next one is there. */
import { useEffect, useState } from "react";
import type { FoldTree } from "@/graph/folds";
import { layoutGraph, type Graph, type Layout, type View } from "@/graph/layout";
import type { LayoutReply, LayoutRequest } from "@/graph/layout.worker";
import type { Network } from "@/graph/network";
import type { Folds } from "./view";

export interface Shape {
  width: number;
  height: number;
}

/** A network, what can be folded of it, and how it is laid out: always of one another. */
export interface Picture {
  network: Network;
  tree: FoldTree;
  layout: Layout;
}

let worker: Worker | null = null;
let requests = 0;
/** What the worker has been told of. */
let known: FoldTree | null = null;
const waiting = new Map<number, (layout: Layout) => void>();

function graphOf(network: Network, tree: FoldTree): Graph {
  return { count: network.nodes.length, from: network.edges.map((edge) => edge.from), to: network.edges.map((edge) => edge.to), tree };
}

function ask(network: Network, tree: FoldTree, view: View): Promise<Layout> {
  if (typeof Worker === "undefined") return Promise.resolve(layoutGraph({ ...graphOf(network, tree), ...view }));
  if (!worker) {
    worker = new Worker(new URL("../graph/layout.worker.ts", import.meta.url), { type: "module" });
    worker.onmessage = ({ data }: MessageEvent<LayoutReply>) => {
      waiting.get(data.id)?.(data.layout);
      waiting.delete(data.id);
    };
  }
  requests += 1;
  const id = requests;
  const graph = known === tree ? null : graphOf(network, tree);
  known = tree;
  worker.postMessage({ id, graph, view } satisfies LayoutRequest);
  return new Promise((resolve) => waiting.set(id, resolve));
}

export function useLayout(network: Network, tree: FoldTree, { width, height }: Shape, folds: Folds | null): Picture | null {
  const [picture, setPicture] = useState<Picture | null>(null);
  useEffect(() => {
    let current = true;
    void ask(network, tree, { window: { width, height }, open: folds?.open ?? null, base: folds?.base ?? null }).then((layout) => {
      if (current) setPicture({ network, tree, layout });
    });
    return () => {
      current = false;
    };
  }, [network, tree, width, height, folds]);
  return picture?.network === network ? picture : null;
}
