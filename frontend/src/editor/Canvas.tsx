/** The canvas: cards and edges, selection by click, range and box, the keys that walk the graph. */
import { useCallback, useEffect, useMemo, useRef, useState, type KeyboardEvent, type PointerEvent as ReactPointerEvent } from "react";
import { itemAt, itemsInRect, type Rect } from "@/graph/hit";
import { at } from "@/graph/network";
import { betweenCards, layersOfItems, step } from "@/graph/select";
import { deviceOf } from "@/plan/content";
import { placesOfNode } from "@/plan/divisions";
import { planStore } from "@/plan/store";
import { cameraMan, fitCamera } from "./camera";
import { Card } from "./Card";
import { useScene } from "./context";
import { assignAndSay, beginDrag } from "./drag";
import { Flow, flowEdges, flowNodes, type Camera, type FlowControl, type Parts } from "./flow";
import { closeFold, foldAt, openFold, setAlike, setAll } from "./folding";
import { foldSize, foldTitle } from "./foldWords";
import { FrameBox } from "./FrameBox";
import { Overview } from "./Overview";
import { EdgeMarkers, Route } from "./Route";
import { extend, select, toggleAll, useView, viewStore } from "./view";

/** Below it cards are too small to read, and one drawing stands for them. */
export const FAR_ZOOM = 0.35;
/** Below this the small print of a card cannot be read: its two names take all of the room. */
const MIDDLE_ZOOM = 0.66;

type Distance = "near" | "middle" | "far";
const distanceOf = (zoom: number): Distance => (zoom < FAR_ZOOM ? "far" : zoom < MIDDLE_ZOOM ? "middle" : "near");
const DISTANCE_CLASSES: Record<Distance, string> = { near: "canvas", middle: "canvas is-middle", far: "canvas" };
const ARROWS = { ArrowUp: "up", ArrowDown: "down", ArrowLeft: "left", ArrowRight: "right" } as const;
const PARTS: Parts = { card: Card, frame: FrameBox, route: Route };

interface CanvasProps {
  size: { width: number; height: number };
  devices: readonly string[];
  onMenu: (x: number, y: number) => void;
  onSearch: () => void;
}

const isArrow = (key: string): key is keyof typeof ARROWS => key in ARROWS;

export function Canvas({ size, devices, onMenu, onSearch }: CanvasProps) {
  const scene = useScene();
  const { network, tree, layout } = scene;
  const host = useRef<HTMLDivElement>(null);
  const [box, setBox] = useState<Rect | null>(null);
  const [distance, setDistance] = useState(() => distanceOf(fitCamera(layout, size).zoom));
  const far = distance === "far";
  const nodes = useMemo(() => (far ? [] : flowNodes(network, tree, layout)), [far, network, tree, layout]);
  const edges = useMemo(() => (far ? [] : flowEdges(tree, layout)), [far, tree, layout]);
  const [start] = useState(() => fitCamera(layout, size));

  useEffect(() => {
    cameraMan.resize(size);
    cameraMan.take(layout);
  }, [layout, size]);
  useEffect(
    () => () => {
      cameraMan.leave();
    },
    [],
  );
  const ready = useCallback((control: FlowControl) => {
    cameraMan.control = control;
    cameraMan.fit();
  }, []);
  const moved = useCallback((camera: Camera, byHand: boolean) => {
    cameraMan.moved(camera, byHand);
    setDistance(distanceOf(camera.zoom));
  }, []);

  const names = useCallback((chosen: Iterable<number>) => [...chosen].map((node) => at(network.nodes, node).name), [network]);
  const layersOf = (item: number) => layersOfItems(network, tree, layout.items, [item]);

  /** The card under the pointer; a painted one is found by its place. Ends of the network are none. */
  const itemUnder = (event: { target: EventTarget | null; clientX: number; clientY: number }): number | null => {
    const target = event.target instanceof Element ? event.target : null;
    if (far) {
      const control = cameraMan.control;
      if (!control || !target?.closest(".react-flow")) return null;
      const item = itemAt(layout.items, control.toCanvas({ x: event.clientX, y: event.clientY }));
      return item !== null && layersOf(item).length > 0 ? item : null;
    }
    const node = target?.closest<HTMLElement>("[data-node]")?.dataset["node"];
    return node === undefined ? null : at(layout.itemOf, Number(node));
  };
  /** The fold of a button or title under the pointer. */
  const foldUnder = (target: EventTarget | null, name: "openFold" | "closeFold" | "frame"): number | null => {
    const attribute = { openFold: "data-open-fold", closeFold: "data-close-fold", frame: "data-frame" }[name];
    const found = target instanceof Element ? target.closest<HTMLElement>(`[${attribute}]`)?.dataset[name] : undefined;
    return found === undefined ? null : Number(found);
  };

  const setOpen = (fold: number, wanted: boolean) => {
    cameraMan.holdNext(fold);
    (wanted ? openFold : closeFold)(scene, fold);
  };

  const click = (item: number, event: { shiftKey: boolean; ctrlKey: boolean; metaKey: boolean }) => {
    const { anchor } = viewStore.getState();
    const { node } = at(layout.items, item);
    if (event.shiftKey && anchor !== null) {
      select(betweenCards(network, tree, layout, at(layout.itemOf, anchor), item), anchor);
      viewStore.setState({ cursor: node });
    } else if (event.ctrlKey || event.metaKey) toggleAll(layersOf(item));
    else select(layersOf(item));
  };

  const press = (event: ReactPointerEvent) => {
    if (event.button !== 0) return;
    host.current?.focus({ preventScroll: true });
    host.current?.classList.add("by-pointer");
    if (event.target instanceof Element && event.target.closest("[data-open-fold], [data-close-fold]")) return;
    const frame = foldUnder(event.target, "frame");
    const item = frame === null ? itemUnder(event) : null;
    if (frame === null && item === null) {
      if (event.target instanceof Element && event.target.closest(".react-flow")) (event.shiftKey ? beginBox : clearOnClick)(event);
      return;
    }
    const meant = item === null ? [...at(tree.folds, frame ?? -1).nodes] : layersOf(item);
    const layers = () => {
      const { selection } = viewStore.getState();
      if (!meant.every((node) => selection.has(node))) select(meant);
      return names(viewStore.getState().selection);
    };
    const chosen = () => {
      if (item !== null) click(item, event);
      else if (event.ctrlKey || event.metaKey) toggleAll(meant);
      else select(meant);
    };
    beginDrag(event.nativeEvent, layers, chosen);
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
      const found = itemsInRect(layout.items, { x: a.x, y: a.y, width: b.x - a.x, height: b.y - a.y });
      select([...before, ...layersOfItems(network, tree, layout.items, found)]);
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
    const from = at(layout.itemOf, cursor ?? network.nodes.findIndex((node) => node.kind === "layer"));
    const next = cursor === null ? from : step(layout, from, direction);
    const layers = next === null ? [] : layersOf(next);
    const [first] = layers;
    if (next === null || first === undefined) return;
    if (adding) {
      extend(layers);
      viewStore.setState({ cursor: first });
    } else select(layers);
    const { fold } = at(layout.items, next);
    const node = at(network.nodes, first);
    const folded = fold < 0 ? null : at(tree.folds, fold);
    viewStore.setState({ announcement: folded ? `${foldTitle(folded)}, ${foldSize(folded)}, folded` : `${node.op} ${node.name}` });
    cameraMan.reveal(first);
  };

  /** O: open the block at the cursor, or close the one around it; with Shift all like it. */
  const toggleFold = (all: boolean) => {
    const { cursor, selection } = viewStore.getState();
    const node = cursor ?? [...selection][0];
    const found = node === undefined ? null : foldAt(scene, node);
    if (!found) return;
    if (all) setAlike(scene, found.fold, found.isOpen ? "folded" : "open");
    else setOpen(found.fold, !found.isOpen);
  };

  const enter = () => {
    const { cursor, selection } = viewStore.getState();
    const node = cursor ?? [...selection][0];
    if (node === undefined) return;
    const { fold } = at(layout.items, at(layout.itemOf, node));
    if (fold >= 0) setOpen(fold, true);
    else viewStore.setState({ detailsOpen: true });
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
    else if (event.key === "Enter" && selection.size > 0) enter();
    else if (event.key.toLowerCase() === "o" && !command) toggleFold(event.shiftKey);
    else if (event.key === "[" && !command) setAll(scene, "folded");
    else if (event.key === "]" && !command) setAll(scene, "open");
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
      data-far={far}
      tabIndex={0}
      role="application"
      aria-roledescription="network graph"
      aria-label={`Network graph of ${network.layerCount} layers. Arrow keys walk along the edges, O opens or folds a block, 1 to 9 send the selection to a device, S splits it over several, question mark lists all keys.`}
      onPointerDown={press}
      onMouseDownCapture={(event) => {
        // React Flow pans on a mouse press; with Shift the press draws a selection box instead, and a painted card is dragged.
        const inFlow = event.target instanceof Element && event.target.closest(".react-flow") !== null;
        if (inFlow && event.button === 0 && (event.shiftKey || (far && itemUnder(event) !== null))) event.stopPropagation();
      }}
      onClick={(event) => {
        const [open, close] = [foldUnder(event.target, "openFold"), foldUnder(event.target, "closeFold")];
        if (open !== null) setOpen(open, true);
        else if (close !== null) setOpen(close, false);
      }}
      onDoubleClick={(event) => {
        if (foldUnder(event.target, "closeFold") !== null || foldUnder(event.target, "openFold") !== null) return;
        const frame = foldUnder(event.target, "frame");
        if (frame !== null) setOpen(frame, false);
        const item = itemUnder(event);
        if (item === null) return;
        const { node, fold } = at(layout.items, item);
        if (far) cameraMan.show(node);
        else if (fold >= 0) setOpen(fold, true);
        else viewStore.setState({ detailsOpen: true });
      }}
      onContextMenu={(event) => {
        const item = itemUnder(event);
        if (item === null) return;
        event.preventDefault();
        const { selection } = viewStore.getState();
        if (!layersOf(item).every((node) => selection.has(node))) select(layersOf(item));
        onMenu(event.clientX, event.clientY);
      }}
      onKeyDown={key}
    >
      <EdgeMarkers />
      <Flow nodes={nodes} edges={edges} parts={PARTS} start={start} onReady={ready} onCamera={moved} />
      {far && <Overview size={size} />}
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
