/** Asks the worker for the layout of a network in a window's shape; answers are kept by network and shape. */
import { useEffect, useState } from "react";
import { layoutGraph, type Layout } from "@/graph/layout";
import type { LayoutReply, LayoutRequest } from "@/graph/layout.worker";
import type { Network } from "@/graph/network";

export interface Shape {
  width: number;
  height: number;
}

let worker: Worker | null = null;
let requests = 0;
const waiting = new Map<number, (layout: Layout) => void>();
const kept = new WeakMap<Network, Map<string, Layout>>();

function ask(network: Network, window: Shape): Promise<Layout> {
  const input = { count: network.nodes.length, from: network.edges.map((edge) => edge.from), to: network.edges.map((edge) => edge.to), window };
  if (typeof Worker === "undefined") return Promise.resolve(layoutGraph(input));
  if (!worker) {
    worker = new Worker(new URL("../graph/layout.worker.ts", import.meta.url), { type: "module" });
    worker.onmessage = ({ data }: MessageEvent<LayoutReply>) => {
      waiting.get(data.id)?.(data.layout);
      waiting.delete(data.id);
    };
  }
  requests += 1;
  const id = requests;
  worker.postMessage({ id, input } satisfies LayoutRequest);
  return new Promise((resolve) => waiting.set(id, resolve));
}

export function useLayout(network: Network, { width, height }: Shape): Layout | null {
  const [layout, setLayout] = useState<{ network: Network; layout: Layout } | null>(null);
  useEffect(() => {
    let current = true;
    const shape = `${width} ${height}`;
    const known = kept.get(network)?.get(shape);
    const answer = known ? Promise.resolve(known) : ask(network, { width, height });
    void answer.then((found) => {
      if (!kept.has(network)) kept.set(network, new Map());
      kept.get(network)?.set(shape, found);
      if (current) setLayout({ network, layout: found });
    });
    return () => {
      current = false;
    };
  }, [network, width, height]);
  return layout?.network === network ? layout.layout : null;
}
