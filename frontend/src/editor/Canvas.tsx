/** The canvas: cards and edges, selection by click, range and box, the keys that walk the graph. */
import { useCallback, useEffect, useMemo, useRef, useState, type KeyboardEvent, type PointerEvent as ReactPointerEvent } from "react";
import { nodesInRect, type Rect } from "@/graph/hit";
import { at } from "@/graph/network";
import { between, step } from "@/graph/select";
import { deviceOf } from "@/plan/content";
import { placesOfNode } from "@/plan/divisions";
import { planStore } from "@/plan/store";
import { cameraMan, fitCamera } from "./camera";
import { Card } from "./Card";
import { useScene } from "./context";
import { assignAndSay, beginDrag } from "./drag";
import { Flow, flowEdges, flowNodes, type Camera, type FlowControl } from "./flow";
import { EdgeMarkers, Route } from "./Route";
import { extend, select, toggle, useView, viewStore } from "./view";

const FAR_ZOOM = 0.35;
/** Below this the small print of a card cannot be read: its two names take all of the room. */
const MIDDLE_ZOOM = 0.66;

type Distance = "near" | "middle" | "far";
const distanceOf = (zoom: number): Distance => (zoom < FAR_ZOOM ? "far" : zoom < MIDDLE_ZOOM ? "middle" : "near");
const DISTANCE_CLASSES: Record<Distance, string> = { near: "canvas", middle: "canvas is-middle", far: "canvas is-far" };
const ARROWS = { ArrowUp: "up", ArrowDown: "down", ArrowLeft: "left", ArrowRight: "right" } as const;

interface CanvasProps {
  size: { width: number; height: number };
  devices: readonly string[];
  onMenu: (x: number, y: number) => void;
  onSearch: () => void;
}

const isArrow = (key: string): key is keyof typeof ARROWS => key in ARROWS;

export function Canvas({ size, devices, onMenu, onSearch }: CanvasProps) {
  const scene = useScene();
  const { network, layout } = scene;
  const host = useRef<HTMLDivElement>(null);
  const [box, setBox] = useState<Rect | null>(null);
  const [distance, setDistance] = useState(() => distanceOf(fitCamera(layout, size).zoom));
  const nodes = useMemo(() => flowNodes(network, layout), [network, layout]);
  const edges = useMemo(() => flowEdges(network), [network]);
  const [start] = useState(() => fitCamera(layout, size));

  useEffect(() => {
    cameraMan.layout = layout;
    cameraMan.resize(size);
  }, [layout, size]);
  const ready = useCallback((control: FlowControl) => {
    cameraMan.control = control;
    cameraMan.fit();
  }, []);
  const moved = useCallback((camera: Camera, byHand: boolean) => {
    if (byHand) cameraMan.fitted = false;
    setDistance(distanceOf(camera.zoom));
  }, []);

  const names = useCallback((chosen: Iterable<number>) => [...chosen].map((node) => at(network.nodes, node).name), [network]);

  const nodeAt = (target: EventTarget | null): number | null => {
    const card = target instanceof Element ? target.closest<HTMLElement>("[data-node]") : null;
    return card?.dataset["node"] === undefined ? null : Number(card.dataset["node"]);
  };

  const click = (node: number, event: { shiftKey: boolean; ctrlKey: boolean; metaKey: boolean }) => {
    const { anchor } = viewStore.getState();
    if (event.shiftKey && anchor !== null) {
      select(between(network, anchor, node), anchor);
      viewStore.setState({ cursor: node });
    } else if (event.ctrlKey || event.metaKey) toggle(node);
    else select([node]);
  };

  const press = (event: ReactPointerEvent) => {
    if (event.button !== 0) return;
    host.current?.focus({ preventScroll: true });
    host.current?.classList.add("by-pointer");
    const node = nodeAt(event.target);
    if (node === null) {
      if (event.target instanceof Element && event.target.closest(".react-flow")) (event.shiftKey ? beginBox : clearOnClick)(event);
      return;
    }
    const layers = () => {
      if (!viewStore.getState().selection.has(node)) select([node]);
      return names(viewStore.getState().selection);
    };
    beginDrag(event.nativeEvent, layers, () => click(node, event));
  };

  const clearOnClick = (event: ReactPointerEvent) => {
    const { clientX, clientY } = event;
    const up = (end: PointerEvent) => {
      if (Math.hypot(end.clientX - clientX, end.clientY - clientY) < 4) select([]);
    };
    window.addEventListener("pointerup", up, { once: true });
  };

  const beginBox = (event: ReactPointerEvent) => {
    const origin = host.current?.getBoundingClientRect();
    if (!origin) return;
    const [x0, y0] = [event.clientX, event.clientY];
    const before = event.ctrlKey || event.metaKey ? viewStore.getState().selection : new Set<number>();
    const move = (to: PointerEvent) => {
      const rect = { x: Math.min(x0, to.clientX), y: Math.min(y0, to.clientY), width: Math.abs(to.clientX - x0), height: Math.abs(to.clientY - y0) };
      setBox({ ...rect, x: rect.x - origin.left, y: rect.y - origin.top });
      const control = cameraMan.control;
      if (!control) return;
      const a = control.toCanvas({ x: rect.x, y: rect.y });
      const b = control.toCanvas({ x: rect.x + rect.width, y: rect.y + rect.height });
      const found = nodesInRect(layout.positions, { x: a.x, y: a.y, width: b.x - a.x, height: b.y - a.y });
      select([...before, ...found.filter((node) => at(network.nodes, node).kind === "layer")]);
    };
    const end = () => {
      setBox(null);
      window.removeEventListener("pointermove", move);
      window.removeEventListener("pointerup", end);
      window.removeEventListener("pointercancel", end);
    };
    window.addEventListener("pointermove", move);
    window.addEventListener("pointerup", end);
    window.addEventListener("pointercancel", end);
  };

  /** How the first tensor travels that leaves the layer's device, or else comes to it. */
  const openLink = () => {
    const { content } = planStore.getState();
    const node = viewStore.getState().cursor ?? [...viewStore.getState().selection][0];
    if (node === undefined) return;
    const crosses = (index: number) => {
      const edge = at(network.edges, index);
      const [from, to] = [edge.from, edge.to].map((end) => placesOfNode(content, at(network.nodes, end)).map((place) => deviceOf(content, place))) as [string[], string[]];
      return from.some((maker) => to.some((taker) => maker !== taker));
    };
    const link = [...at(network.outgoing, node), ...at(network.incoming, node)].find(crosses);
    if (link === undefined) viewStore.setState({ announcement: "Nothing of this layer travels to another device" });
    else viewStore.setState({ link });
  };

  const walk = (direction: "up" | "down" | "left" | "right", adding: boolean) => {
    const { cursor } = viewStore.getState();
    const from = cursor ?? network.nodes.findIndex((node) => node.kind === "layer");
    const next = cursor === null ? from : step(network, layout, from, direction);
    if (next === null || next < 0 || at(network.nodes, next).kind !== "layer") return;
    if (adding) {
      extend([next]);
      viewStore.setState({ cursor: next });
    } else select([next]);
    const node = at(network.nodes, next);
    viewStore.setState({ announcement: `${node.op} ${node.name}` });
    cameraMan.reveal(next);
  };

  const key = (event: KeyboardEvent) => {
    host.current?.classList.remove("by-pointer");
    if (event.target !== host.current) return;
    const { selection } = viewStore.getState();
    const command = event.ctrlKey || event.metaKey;
    if (isArrow(event.key)) walk(ARROWS[event.key], event.shiftKey);
    else if (/^[1-9]$/.test(event.key) && !command && !event.altKey) {
      const device = devices[Number(event.key) - 1];
      if (device !== undefined && selection.size > 0) assignAndSay(names(selection), device);
    } else if ((event.key === "Delete" || event.key === "Backspace") && selection.size > 0) assignAndSay(names(selection), "");
    else if (event.key === "Escape") {
      select([]);
      viewStore.setState({ detailsOpen: false });
    } else if (event.key === "s" && !command && selection.size > 0) viewStore.setState({ splitting: true });
    else if (event.key === "c" && !command && selection.size > 0) openLink();
    else if (event.key === "Enter" && selection.size > 0) viewStore.setState({ detailsOpen: true });
    else if (command && event.key === "a") select(network.nodes.filter((node) => node.kind === "layer").map((node) => node.index));
    else if (event.key === "/") onSearch();
    else if ((event.key === "f" || event.key === "0") && !command) cameraMan.fit();
    else if (event.key === "+" || event.key === "=") cameraMan.zoomBy(1.25);
    else if (event.key === "-") cameraMan.zoomBy(0.8);
    else return;
    event.preventDefault();
  };

  return (
    <div
      ref={host}
      className={DISTANCE_CLASSES[distance]}
      data-testid="canvas"
      tabIndex={0}
      role="application"
      aria-roledescription="network graph"
      aria-label={`Network graph of ${network.layerCount} layers. Arrow keys walk along the edges, 1 to 9 send the selection to a device, S splits it over several, question mark lists all keys.`}
      onPointerDown={press}
      onMouseDownCapture={(event) => {
        // React Flow pans on a mouse press; with Shift the press draws a selection box instead.
        if (event.shiftKey && event.target instanceof Element && event.target.closest(".react-flow")) event.stopPropagation();
      }}
      onDoubleClick={(event) => {
        if (nodeAt(event.target) !== null) viewStore.setState({ detailsOpen: true });
      }}
      onContextMenu={(event) => {
        const node = nodeAt(event.target);
        if (node === null) return;
        event.preventDefault();
        if (!viewStore.getState().selection.has(node)) select([node]);
        onMenu(event.clientX, event.clientY);
      }}
      onKeyDown={key}
    >
      <EdgeMarkers />
      <Flow nodes={nodes} edges={edges} card={Card} route={Route} start={start} onReady={ready} onCamera={moved} />
      {box && <div className="select-box" style={{ left: box.x, top: box.y, width: box.width, height: box.height }} />}
      <Announcer />
    </div>
  );
}

function Announcer() {
  const text = useView((view) => view.announcement);
  return (
    <div className="visually-hidden" role="status" aria-live="polite">
      {text}
    </div>
  );
}
