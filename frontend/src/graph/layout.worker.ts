/** The layout off the main thread: one message in, one out. */
import { layoutGraph, type Layout, type LayoutInput } from "./layout";

export interface LayoutRequest {
  id: number;
  input: LayoutInput;
}

export interface LayoutReply {
  id: number;
  layout: Layout;
}

self.onmessage = (event: MessageEvent<LayoutRequest>) => {
  const { id, input } = event.data;
  self.postMessage({ id, layout: layoutGraph(input) } satisfies LayoutReply);
};
