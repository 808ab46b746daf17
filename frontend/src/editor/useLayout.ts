/** Asks the worker for the layout of what is shown in a window's shape; the last picture stays until the next one is there. */
import { useEffect, useState } from "react";
import type { FoldTree } from "@/graph/folds";
import type { Graph, Layout, View } from "@/graph/layout";
import type { LayoutReply, LayoutRequest } from "@/graph/layout.worker";
import { layoutWorker } from "@/graph/layoutWorker";
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

let requests = 0;
/** The one that is listened to. */
let heard: Worker | null = null;
/** What it has been told of. */
let known: FoldTree | null = null;
const waiting = new Map<number, { resolve: (layout: Layout) => void; reject: (why: Error) => void }>();

function graphOf(network: Network, tree: FoldTree): Graph {
  return { count: network.nodes.length, from: network.edges.map((edge) => edge.from), to: network.edges.map((edge) => edge.to), tree };
}

function listen(to: Worker): void {
  to.onmessage = ({ data }: MessageEvent<LayoutReply>) => {
    waiting.get(data.id)?.resolve(data.layout);
    waiting.delete(data.id);
  };
  to.onerror = ({ message }) => {
    for (const { reject } of waiting.values()) reject(new Error(`The network cannot be laid out: ${message || "the part of the page that does it did not come"}.`));
    waiting.clear();
  };
}

function ask(network: Network, tree: FoldTree, view: View): Promise<Layout> {
  const worker = layoutWorker();
  if (worker !== heard) {
    listen(worker);
    [heard, known] = [worker, null];
  }
  requests += 1;
  const id = requests;
  const graph = known === tree ? null : graphOf(network, tree);
  known = tree;
  worker.postMessage({ id, graph, view } satisfies LayoutRequest);
  return new Promise((resolve, reject) => waiting.set(id, { resolve, reject }));
}

export function useLayout(network: Network, tree: FoldTree, { width, height }: Shape, folds: Folds | null): Picture | null {
  const [picture, setPicture] = useState<Picture | null>(null);
  const [failure, setFailure] = useState<Error | null>(null);
  useEffect(() => {
    let current = true;
    ask(network, tree, { window: { width, height }, open: folds?.open ?? null, base: folds?.base ?? null }).then(
      (layout) => current && setPicture({ network, tree, layout }),
      (why: unknown) => current && setFailure(why as Error),
    );
    return () => {
      current = false;
    };
  }, [network, tree, width, height, folds]);
  if (failure) throw failure;
  return picture?.network === network ? picture : null;
}
