/** The usual way: dagre lays everything out, React Flow draws every node. `?graph=NAME` says which network. */
import dagre from "@dagrejs/dagre";
import { Handle, Position, ReactFlow } from "@xyflow/react";
import "@xyflow/react/dist/style.css";
import { memo } from "react";
import { createRoot } from "react-dom/client";
import { buildNetwork } from "@/graph/network";

const [WIDTH, HEIGHT] = [160, 48];
const COLOURS = ["#0b7fab", "#b8580c", "#3d7f31"];

const Card = memo(({ data }) => (
  <div className="node" style={{ borderLeftColor: data.colour }}>
    <Handle type="target" position={Position.Top} />
    <b>{data.op}</b>
    <span>{data.name}</span>
    <i style={{ width: `${data.share}%` }} />
    <Handle type="source" position={Position.Bottom} />
  </div>
));
const NODE_TYPES = { card: Card };

const model = await (await fetch(`./${new URLSearchParams(location.search).get("graph")}.json`)).json();
const network = buildNetwork(model);
const graph = new dagre.graphlib.Graph().setGraph({ rankdir: "TB" }).setDefaultEdgeLabel(() => ({}));
for (const { index } of network.nodes) graph.setNode(String(index), { width: WIDTH, height: HEIGHT });
for (const { from, to } of network.edges) graph.setEdge(String(from), String(to));
let placed = (node) => graph.node(String(node));
try {
  dagre.layout(graph);
} catch {
  // Deep networks overflow dagre's stack: one strip then, which is what it makes of a chain.
  placed = (node) => ({ x: 0, y: node * (HEIGHT + 50) });
}

const nodes = network.nodes.map(({ index, name, op }) => {
  const { x, y } = placed(index);
  return { id: String(index), type: "card", position: { x: x - WIDTH / 2, y: y - HEIGHT / 2 }, data: { op, name, share: (index * 37) % 100, colour: COLOURS[Math.floor((index * COLOURS.length) / network.nodes.length)] } };
});
const edges = network.edges.map(({ index, from, to }) => ({ id: String(index), source: String(from), target: String(to) }));

const ready = (flow) => {
  // What a case wants: everything in view, or a zoom around the middle of the network.
  window.benchShow = async (zoom) => {
    const middle = nodes[Math.floor(nodes.length / 2)].position;
    if (zoom === null) await flow.fitView({ minZoom: 0.001 });
    else await flow.setCenter(middle.x, middle.y, { zoom });
    return flow.getZoom();
  };
};

createRoot(document.getElementById("root")).render(<ReactFlow defaultNodes={nodes} defaultEdges={edges} nodeTypes={NODE_TYPES} minZoom={0.001} onInit={ready} />);
