/** The layout off the main thread: a graph once, then a view of it in and its picture out, as often as wanted. */
import { Draughtsman, type Graph, type Layout, type View } from "./layout";

export interface LayoutRequest {
  id: number;
  /** Where it is another one than in the request before. */
  graph: Graph | null;
  view: View;
}

export interface LayoutReply {
  id: number;
  layout: Layout;
}

let draughtsman: Draughtsman | null = null;

self.onmessage = ({ data: { id, graph, view } }: MessageEvent<LayoutRequest>) => {
  if (graph) draughtsman = new Draughtsman(graph);
  if (!draughtsman) throw new Error("a view of no graph");
  self.postMessage({ id, layout: draughtsman.draw(view) } satisfies LayoutReply);
};
