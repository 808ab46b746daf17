/** The only module that knows React Flow: it draws what is seen of a fixed scene, and pans and zooms. */
import {
  Handle,
  Position,
  ReactFlow,
  type Edge,
  type EdgeProps,
  type EdgeTypes,
  type Node,
  type NodeProps,
  type NodeTypes,
  type ReactFlowInstance,
  type Viewport,
} from "@xyflow/react";
import "@xyflow/react/dist/base.css";
import { memo, type ComponentType, type ReactNode } from "react";
import { CARD_HEIGHT, CARD_WIDTH, type Layout } from "@/graph/layout";
import type { Network } from "@/graph/network";

type CardNode = Node<{ index: number }, "card">;
type RouteEdge = Edge<{ index: number }, "route">;

export type Camera = Viewport;

export interface FlowControl {
  camera: () => Camera;
  moveTo: (camera: Camera, durationMs: number) => void;
  /** From window to canvas units. */
  toCanvas: (point: { x: number; y: number }) => { x: number; y: number };
}

interface FlowProps {
  nodes: CardNode[];
  edges: RouteEdge[];
  card: Part;
  route: Part;
  start: Camera;
  onReady: (control: FlowControl) => void;
  onCamera: (camera: Camera, byHand: boolean) => void;
  children?: ReactNode;
}

export const MIN_ZOOM = 0.04;
export const MAX_ZOOM = 2;

export function flowNodes(network: Network, layout: Layout): CardNode[] {
  return layout.positions.map(([x, y], index) => ({
    id: String(index),
    type: "card",
    position: { x, y },
    data: { index },
    width: CARD_WIDTH,
    height: CARD_HEIGHT,
    // Layers take the pointer themselves (it drags them to a device); React Flow would switch it off.
    ...(network.nodes[index]?.kind === "layer" ? { className: "nopan", style: { pointerEvents: "all" as const } } : {}),
    handles: [
      { type: "target", position: Position.Top, x: CARD_WIDTH / 2, y: 0, width: 1, height: 1 },
      { type: "source", position: Position.Bottom, x: CARD_WIDTH / 2, y: CARD_HEIGHT, width: 1, height: 1 },
    ],
  }));
}

export function flowEdges(network: Network): RouteEdge[] {
  return network.edges.map(({ index, from, to }) => ({ id: `e${index}`, type: "route", source: String(from), target: String(to), data: { index } }));
}

type Part = ComponentType<{ index: number }>;

// React Flow takes each new `nodeTypes` object for a new kind of node, so one is kept per component.
const nodeTypes = new WeakMap<Part, NodeTypes>();
const edgeTypes = new WeakMap<Part, EdgeTypes>();

function indexOf(data: Record<string, unknown> | undefined): number {
  return (data as { index: number }).index;
}

/** React Flow draws edges only between handles that it finds in the page. */
function Anchored({ card: Card, index }: { card: Part; index: number }) {
  return (
    <>
      <Handle type="target" position={Position.Top} isConnectable={false} />
      <Card index={index} />
      <Handle type="source" position={Position.Bottom} isConnectable={false} />
    </>
  );
}

function nodeTypesOf(Card: Part): NodeTypes {
  let types = nodeTypes.get(Card);
  if (!types) nodeTypes.set(Card, (types = { card: memo(({ data }: NodeProps) => <Anchored card={Card} index={indexOf(data)} />) }));
  return types;
}

function edgeTypesOf(Route: Part): EdgeTypes {
  let types = edgeTypes.get(Route);
  if (!types) edgeTypes.set(Route, (types = { route: memo(({ data }: EdgeProps) => <Route index={indexOf(data)} />) }));
  return types;
}

export function Flow({ nodes, edges, card, route, start, onReady, onCamera, children }: FlowProps) {
  const ready = (instance: ReactFlowInstance<CardNode, RouteEdge>) =>
    onReady({
      camera: () => instance.getViewport(),
      moveTo: (camera, durationMs) => void instance.setViewport(camera, durationMs > 0 ? { duration: durationMs } : {}),
      toCanvas: (point) => instance.screenToFlowPosition(point),
    });
  return (
    <ReactFlow
      nodes={nodes}
      edges={edges}
      nodeTypes={nodeTypesOf(card)}
      edgeTypes={edgeTypesOf(route)}
      defaultViewport={start}
      minZoom={MIN_ZOOM}
      maxZoom={MAX_ZOOM}
      onInit={ready}
      onMove={(event, camera) => onCamera(camera, event != null)}
      onlyRenderVisibleElements
      nodesDraggable={false}
      nodesConnectable={false}
      nodesFocusable={false}
      edgesFocusable={false}
      elementsSelectable={false}
      selectionKeyCode={null}
      multiSelectionKeyCode={null}
      deleteKeyCode={null}
      panActivationKeyCode={null}
      zoomOnDoubleClick={false}
      disableKeyboardA11y
      panOnDrag={[0, 1]}
      proOptions={{ hideAttribution: true }}
    >
      {children}
    </ReactFlow>
  );
}
