/** The canvas: cards and edges, selection by click, range and box, the keys that walk the graph. */
import { lazy, Suspense, useCallback, useEffect, useRef, useState, type KeyboardEvent, type PointerEvent as ReactPointerEvent } from "react";
import { plural } from "@/app/format";
import { insist } from "@/app/insist";
import { itemAt } from "@/graph/hit";
import { at } from "@/graph/network";
import { betweenCards, layersOfItems, step } from "@/graph/select";
import { cursorNode, enter, setOpen } from "./atCursor";
import { cameraMan, fitCamera } from "./camera";
import { Card } from "./Card";
import { useScene } from "./context";
import { distanceOf, type Distance } from "./distance";
import { beginDrag } from "./drag";
import { useDims } from "./find";
import { Flow, type Camera, type FlowControl, type Parts } from "./flow";
import { foldSize, foldTitle } from "./foldWords";
import { FrameBox } from "./FrameBox";
import { followPointer, isFar } from "./gesture";
import { hideGhost, moveGhost } from "./ghost";
import { handStore, holdsTool, useHand } from "./hand";
import { isByKey, menuBegins } from "./menuKey";
import { Overview } from "./Overview";
import { BoundaryMarkers } from "./parts";
import { EdgeMarkers, Route } from "./Route";
import { beginStroke, paintLayers, pickBrush, sayPainted } from "./stroke";
import { endTraces } from "./tracing";
import { useBox } from "./useBox";
import { usePictured } from "./usePictured";
import { extend, select, toggleAll, useView, viewStore } from "./view";

const DISTANCE_CLASSES: Record<Distance, string> = { near: "canvas", middle: "canvas is-middle", far: "canvas" };
const ARROWS = { ArrowUp: "up", ArrowDown: "down", ArrowLeft: "left", ArrowRight: "right" } as const;
const LiveLayer = lazy(() => insist(() => import("./LiveLayer")));
const PARTS: Parts = { card: Card, frame: FrameBox, route: Route };

interface CanvasProps {
  size: { width: number; height: number };
  /** Behind the table: it keeps its place, and takes no focus. */
  hidden: boolean;
  onMenu: (x: number, y: number) => void;
}

const isArrow = (key: string): key is keyof typeof ARROWS => key in ARROWS;

export function Canvas({ size, hidden, onMenu }: CanvasProps) {
  const scene = useScene();
  const { network, tree, layout } = scene;
  const host = useRef<HTMLDivElement>(null);
  const pictured = usePictured(true);
  const live = useView((view) => view.live !== null);
  const box = useBox(scene, host);
  const [distance, setDistance] = useState(() => distanceOf(fitCamera(layout, size).zoom));
  const far = distance === "far";
  const dims = useDims();
  const tool = useHand((hand) => (hand.brush !== null ? "brush" : hand.tool));
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
    const meant = frame !== null ? [...at(tree.folds, frame).nodes] : item !== null ? layersOf(item) : [];
    const { brush, tool } = handStore.getState();
    if (event.altKey && pickBrush(names(meant))) return;
    if (brush !== null) {
      beginStroke(event.nativeEvent, scene, frame === null ? [] : names(meant));
      return;
    }
    const adding = event.ctrlKey || event.metaKey;
    if (tool === "box") {
      box.begin(event, adding, () => (meant.length > 0 ? toggleAll(meant) : select([])));
      return;
    }
    if (frame === null && item === null) {
      if (event.target instanceof Element && event.target.closest(".react-flow")) {
        if (event.shiftKey) box.begin(event, adding);
        else clearOnClick(event);
      }
      return;
    }
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
    const press = event.nativeEvent;
    followPointer(press, { up: (end) => !isFar(press, end) && select([]), cancel: () => undefined });
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
    const { brush } = handStore.getState();
    if (brush !== null) sayPainted(paintLayers(names(layers), brush), brush);
    const { fold } = at(layout.items, next);
    const node = at(network.nodes, first);
    const folded = fold < 0 ? null : at(tree.folds, fold);
    viewStore.setState({ announcement: folded ? `${foldTitle(folded)}, ${foldSize(folded)}, folded` : `${node.op} ${node.name}` });
    cameraMan.reveal(first);
  };

  // All other keys are those of commands.
  const key = (event: KeyboardEvent) => {
    host.current?.classList.remove("by-pointer");
    if (event.target !== host.current) return;
    if (isArrow(event.key)) walk(ARROWS[event.key], event.shiftKey);
    else if (event.key === "Escape") {
      select([]);
      viewStore.setState({ detailsOpen: false });
    } else if (event.key === "Enter" && viewStore.getState().selection.size > 0) enter(scene);
    else return;
    event.preventDefault();
  };

  return (
    <div
      ref={host}
      className={dims ? `${DISTANCE_CLASSES[distance]} is-only-hits` : DISTANCE_CLASSES[distance]}
      data-testid="canvas"
      data-far={far}
      data-cards={layout.items.length}
      data-layers
      hidden={hidden}
      tabIndex={0}
      role="application"
      aria-roledescription="network graph"
      aria-label={`Network graph of ${plural(network.layerCount, "layer")}. Arrow keys walk along the edges, O opens or folds a block, 1 to 9 send the selection to a device, S splits it over several, question mark lists all keys.`}
      onPointerDown={press}
      onBlur={({ target }) => {
        // Who comes back may come by Tab.
        if (target === host.current) target.classList.remove("by-pointer");
      }}
      onMouseDownCapture={(event) => {
        // React Flow pans on a mouse press; with Shift the press draws a selection box instead, and a painted card is dragged.
        const inFlow = event.target instanceof Element && event.target.closest(".react-flow") !== null;
        // No gesture marks text, neither here nor where it leads.
        if (inFlow && event.button === 0) event.preventDefault();
        if (inFlow && event.button === 0 && (event.shiftKey || holdsTool() || (far && itemUnder(event) !== null))) event.stopPropagation();
      }}
      onTouchStartCapture={(event) => {
        // One finger draws with the tool, two move the view.
        if (event.touches.length === 1 && (holdsTool() || itemUnder({ target: event.target, clientX: event.touches[0]?.clientX ?? 0, clientY: event.touches[0]?.clientY ?? 0 }) !== null)) event.stopPropagation();
      }}
      onPointerMove={(event) => moveGhost(event.clientX, event.clientY)}
      onPointerOver={({ target }) => {
        if (!(target instanceof Element && target.closest("[data-node]"))) endTraces();
      }}
      onPointerLeave={hideGhost}
      onClick={(event) => {
        const [open, close] = [foldUnder(event.target, "openFold"), foldUnder(event.target, "closeFold")];
        if (open !== null) setOpen(scene, open, true);
        else if (close !== null) setOpen(scene, close, false);
      }}
      onDoubleClick={(event) => {
        if (foldUnder(event.target, "closeFold") !== null || foldUnder(event.target, "openFold") !== null) return;
        const frame = foldUnder(event.target, "frame");
        if (frame !== null) setOpen(scene, frame, false);
        const item = itemUnder(event);
        if (item === null) return;
        const { node, fold } = at(layout.items, item);
        if (far) cameraMan.show(node);
        else if (fold >= 0) setOpen(scene, fold, true);
        else viewStore.setState({ detailsOpen: true });
      }}
      onContextMenu={(event) => {
        const cursor = isByKey(event) ? cursorNode() : null;
        const item = cursor === null ? itemUnder(event) : at(layout.itemOf, cursor);
        if (item === null) return;
        event.preventDefault();
        const { selection } = viewStore.getState();
        if (!layersOf(item).every((node) => selection.has(node))) select(layersOf(item));
        onMenu(...menuBegins(event, `[data-node="${at(layout.items, item).node}"]`));
      }}
      onKeyDown={key}
      data-tool={tool}
    >
      <EdgeMarkers />
      <Flow drawing={far ? null : scene} size={size} parts={PARTS} start={start} onReady={ready} onCamera={moved} />
      {far && <Overview size={size} />}
      {live && (
        <Suspense fallback={null}>
          <LiveLayer size={size} />
        </Suspense>
      )}
      {box.rect && <div className="select-box" style={{ left: box.rect.x, top: box.rect.y, width: box.rect.width, height: box.rect.height }} />}
      {pictured && <BoundaryMarkers />}
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
