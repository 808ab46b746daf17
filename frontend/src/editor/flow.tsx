/**
 * The only module that knows React Flow, which pans and zooms. What is seen of the scene is drawn here: React Flow would look for it among
 * all cards and edges in each frame, and watch the size of each card, which is known.
 */
import { ReactFlow, useStoreApi, ViewportPortal, type ReactFlowInstance, type Viewport } from "@xyflow/react";
import "@xyflow/react/dist/base.css";
import { createContext, memo, useContext, useEffect, useMemo, useRef, useState, useSyncExternalStore, type ComponentType, type ReactNode } from "react";
import { createPortal } from "react-dom";
import type { FoldTree } from "@/graph/folds";
import type { Rect } from "@/graph/hit";
import { InView } from "@/graph/inView";
import type { Frame, Layout, ShownEdge, ShownItem } from "@/graph/layout";
import { at, type Network } from "@/graph/network";
import { Glide } from "./glide";

export type Camera = Viewport;

export interface FlowControl {
  camera: () => Camera;
  /** The same once a movement that goes on has come to its end. */
  goal: () => Camera;
  moveTo: (camera: Camera, durationMs: number) => void;
  /** From window to canvas units. */
  toCanvas: (point: { x: number; y: number }) => { x: number; y: number };
}

export interface Parts {
  card: ComponentType<{ item: ShownItem }>;
  frame: ComponentType<{ frame: Frame }>;
  route: ComponentType<{ edge: ShownEdge }>;
}

interface Size {
  width: number;
  height: number;
}

interface Drawing {
  network: Network;
  tree: FoldTree;
  layout: Layout;
}

interface FlowProps {
  /** Null: nothing is drawn here. */
  drawing: Drawing | null;
  size: Size;
  parts: Parts;
  start: Camera;
  onReady: (control: FlowControl) => void;
  onCamera: (camera: Camera, byHand: boolean) => void;
}

export const MIN_ZOOM = 0.01;
export const MAX_ZOOM = 2;

/** The same for the same card whatever else is open, so that it stays in the page. */
const idOf = (tree: FoldTree, { node, fold }: Pick<ShownItem, "node" | "fold">): string => (fold >= 0 ? `fold ${at(tree.folds, fold).name}` : `node ${node}`);

/** Below the cards, and above the lines of all edges: lines that are followed, and above these what is written on edges. */
const OverEdgesContext = createContext<Record<"line" | "label", SVGSVGElement | null>>({ line: null, label: null });

/** What an edge draws above the lines of all edges. */
export function OverEdges({ as, children }: { as: "line" | "label"; children: ReactNode }) {
  const over = useContext(OverEdgesContext)[as];
  return over && createPortal(children, over);
}

const seenFrom = ([x, y, zoom]: readonly [number, number, number], { width, height }: Size): Rect => ({ x: -x / zoom, y: -y / zoom, width: width / zoom, height: height / zoom });

/** What is in view, drawn anew when something comes into view or leaves it, and not while it only moves. */
function Drawn({ drawing: { network, tree, layout }, size, parts }: { drawing: Drawing; size: Size; parts: Parts }) {
  const store = useStoreApi();
  const inView = useMemo(() => new InView(layout), [layout]);
  const seen = useSyncExternalStore(store.subscribe, () => inView.within(seenFrom(store.getState().transform, size)));
  const [line, setLine] = useState<SVGSVGElement | null>(null);
  const [label, setLabel] = useState<SVGSVGElement | null>(null);
  const over = useMemo(() => ({ line, label }), [line, label]);
  return (
    <OverEdgesContext value={over}>
      {seen.frames.map((index) => {
        const frame = at(layout.frames, index);
        return <PlacedFrame key={at(tree.folds, frame.fold).name} frame={frame} part={parts.frame} />;
      })}
      <svg className="drawn-edges" aria-hidden>
        {seen.edges.map((index) => {
          const edge = at(layout.edges, index);
          return <PlacedRoute key={`${idOf(tree, at(layout.items, edge.from))} to ${idOf(tree, at(layout.items, edge.to))}`} edge={edge} part={parts.route} />;
        })}
      </svg>
      {/* React listens here for the focus, by which a browser takes an SVG for a stop of Tab. */}
      <svg className="over-edges" ref={setLine} tabIndex={-1} aria-hidden />
      <svg className="over-edges" ref={setLabel} tabIndex={-1} aria-hidden />
      {seen.items.map((index) => {
        const item = at(layout.items, index);
        return <PlacedCard key={idOf(tree, item)} id={idOf(tree, item)} item={item} isLayer={network.nodes[item.node]?.kind === "layer"} part={parts.card} />;
      })}
    </OverEdgesContext>
  );
}

/** Layers take the pointer: it drags them to a device. */
const PlacedCard = memo(({ id, item, isLayer, part: Card }: { id: string; item: ShownItem; isLayer: boolean; part: Parts["card"] }) => (
  <div className={isLayer ? "drawn-card nopan" : "drawn-card"} style={{ left: item.x, top: item.y }} data-card={id}>
    <Card item={item} />
  </div>
));

const PlacedFrame = memo(({ frame, part: FramePart }: { frame: Frame; part: Parts["frame"] }) => (
  <div className="drawn-frame" style={{ left: frame.x, top: frame.y }}>
    <FramePart frame={frame} />
  </div>
));

const PlacedRoute = memo(({ edge, part: Route }: { edge: ShownEdge; part: Parts["route"] }) => <Route edge={edge} />);

/** What it is given stays the same while a box is drawn over it: it is not drawn anew with each movement of the pointer. */
export const Flow = memo(({ drawing, size, parts, start, onReady, onCamera }: FlowProps) => {
  const glide = useRef<Glide | null>(null);
  useEffect(() => () => glide.current?.end(), []);
  const ready = (instance: ReactFlowInstance) => {
    const moving = new Glide(() => instance.getViewport(), (camera) => void instance.setViewport(camera));
    glide.current = moving;
    onReady({
      camera: () => instance.getViewport(),
      goal: () => moving.goal(),
      moveTo: (camera, durationMs) => moving.moveTo(camera, durationMs),
      toCanvas: (point) => instance.screenToFlowPosition(point),
    });
  };
  return (
    <ReactFlow
      defaultViewport={start}
      minZoom={MIN_ZOOM}
      maxZoom={MAX_ZOOM}
      onInit={ready}
      onMoveStart={(event) => event != null && glide.current?.end()}
      onMove={(event, camera) => onCamera(camera, event != null)}
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
      <ViewportPortal>{drawing && <Drawn drawing={drawing} size={size} parts={parts} />}</ViewportPortal>
    </ReactFlow>
  );
});
