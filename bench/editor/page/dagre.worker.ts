/** dagre, off the main thread as well. */
import dagre from "@dagrejs/dagre";

self.onmessage = ({ data }: MessageEvent<{ count: number; edges: [number, number][] }>) => {
  const graph = new dagre.graphlib.Graph().setGraph({ rankdir: "TB" }).setDefaultEdgeLabel(() => ({}));
  for (let i = 0; i < data.count; i += 1) graph.setNode(String(i), { width: 160, height: 48 });
  for (const [from, to] of data.edges) graph.setEdge(String(from), String(to));
  try {
    dagre.layout(graph);
    self.postMessage({ failure: null });
  } catch (error) {
    self.postMessage({ failure: error instanceof Error ? error.message : String(error) });
  }
};
