/** The only module that knows React Flow: it draws what is seen of a scene, and pans and zooms. */
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
import type { FoldTree } from "@/graph/folds";
import { CARD_HEIGHT, CARD_WIDTH, type Frame, type Layout, type ShownEdge, type ShownItem } from "@/graph/layout";
import { at, type Network } from "@/graph/network";

type CardNode = Node<{ item: ShownItem }, "card">;
type FrameNode = Node<{ frame: Frame }, "frame">;
type RouteEdge = Edge<{ edge: ShownEdge }, "route">;

export type Camera = Viewport;

export interface FlowControl {
  camera: () => Camera;
  moveTo: (camera: Camera, durationMs: number) => void;
  /** From window to canvas units. */
  toCanvas: (point: { x: number; y: number }) => { x: number; y: number };
}

export interface Parts {
  card: ComponentType<{ item: ShownItem }>;
  frame: ComponentType<{ frame: Frame }>;
  route: ComponentType<{ edge: ShownEdge }>;
}

interface FlowProps {
  nodes: (CardNode | FrameNode)[];
  edges: RouteEdge[];
  parts: Parts;
  start: Camera;
  onReady: (control: FlowControl) => void;
  onCamera: (camera: Camera, byHand: boolean) => void;
  children?: ReactNode;
}

export const MIN_ZOOM = 0.01;
export const MAX_ZOOM = 2;

/** The same for the same card whatever else is open, so that it stays in the page. */
const idOf = (tree: FoldTree, { node, fold }: Pick<ShownItem, "node" | "fold">): string => (fold >= 0 ? `fold ${at(tree.folds, fold).name}` : `node ${node}`);

export function flowNodes(network: Network, tree: FoldTree, layout: Layout): (CardNode | FrameNode)[] {
  const frames = layout.frames.map((frame): FrameNode => {
    const { x, y, width, height } = frame;
    return { id: `frame ${at(tree.folds, frame.fold).name}`, type: "frame", position: { x, y }, data: { frame }, width, height, zIndex: -1, handles: [] };
  });
  const cards = layout.items.map((item): CardNode => ({
    id: idOf(tree, item),
    type: "card",
    position: { x: item.x, y: item.y },
    data: { item },
    width: CARD_WIDTH,
    height: CARD_HEIGHT,
    // Layers take the pointer themselves (it drags them to a device); React Flow would switch it off.
    ...(network.nodes[item.node]?.kind === "layer" ? { className: "nopan", style: { pointerEvents: "all" as const } } : {}),
    handles: [
      { type: "target", position: Position.Top, x: CARD_WIDTH / 2, y: 0, width: 1, height: 1 },
      { type: "source", position: Position.Bottom, x: CARD_WIDTH / 2, y: CARD_HEIGHT, width: 1, height: 1 },
    ],
  }));
  return [...frames, ...cards];
}

export function flowEdges(tree: FoldTree, layout: Layout): RouteEdge[] {
  return layout.edges.map((edge) => {
    const [source, target] = [edge.from, edge.to].map((item) => idOf(tree, at(layout.items, item))) as [string, string];
    return { id: `${source} to ${target}`, type: "route", source, target, data: { edge } };
  });
}

// React Flow takes each new `nodeTypes` object for a new kind of node, so one is kept per set of parts.
const nodeTypes = new WeakMap<Parts, NodeTypes>();
const edgeTypes = new WeakMap<Parts, EdgeTypes>();

/** React Flow draws edges only between handles that it finds in the page. */
function Anchored({ children }: { children: ReactNode }) {
  return (
    <>
      <Handle type="target" position={Position.Top} isConnectable={false} />
      {children}
      <Handle type="source" position={Position.Bottom} isConnectable={false} />
    </>
  );
}

function nodeTypesOf(parts: Parts): NodeTypes {
  let types = nodeTypes.get(parts);
  if (!types) {
    const { card: Card, frame: FramePart } = parts;
    types = {
      card: memo(({ data }: NodeProps<CardNode>) => (
        <Anchored>
          <Card item={data.item} />
        </Anchored>
      )),
      frame: memo(({ data }: NodeProps<FrameNode>) => <FramePart frame={data.frame} />),
    };
    nodeTypes.set(parts, types);
  }
  return types;
}

function edgeTypesOf(parts: Parts): EdgeTypes {
  let types = edgeTypes.get(parts);
  if (!types) {
    const { route: Route } = parts;
    types = { route: memo(({ data }: EdgeProps<RouteEdge>) => data && <Route edge={data.edge} />) };
    edgeTypes.set(parts, types);
  }
  return types;
}

export function Flow({ nodes, edges, parts, start, onReady, onCamera, children }: FlowProps) {
  const ready = (instance: ReactFlowInstance<CardNode | FrameNode, RouteEdge>) =>
    onReady({
      camera: () => instance.getViewport(),
      moveTo: (camera, durationMs) => void instance.setViewport(camera, durationMs > 0 ? { duration: durationMs } : {}),
      toCanvas: (point) => instance.screenToFlowPosition(point),
    });
  return (
    <ReactFlow
      nodes={nodes}
      edges={edges}
      nodeTypes={nodeTypesOf(parts)}
      edgeTypes={edgeTypesOf(parts)}
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
