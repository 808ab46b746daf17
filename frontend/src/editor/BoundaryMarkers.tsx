/** Handles where two devices meet: drawn along the network, or moved with the arrow keys, they move the front between the two. */
import { IconArrowsMoveVertical } from "@tabler/icons-react";
import { useCallback, useMemo, useState, type CSSProperties, type KeyboardEvent, type PointerEvent as ReactPointerEvent } from "react";
import { formatBytes } from "@/app/format";
import { markClass, useMarks } from "@/devices/marks";
import { CARD_WIDTH } from "@/graph/layout";
import { at } from "@/graph/network";
import { boundariesOf, bounded, firstFront, lastBefore, lastFront, stepped, type Boundary } from "@/plan/boundary";
import { deviceOf, type Content } from "@/plan/content";
import { usePlan } from "@/plan/store";
import { trafficOf } from "@/plan/traffic";
import { BoundaryGhost } from "./BoundaryGhost";
import { cameraMan } from "./camera";
import { useScene, type Scene } from "./context";
import type { Camera } from "./flow";
import { frontAt, frontPlace, lanesOf, moving } from "./fronts";
import { followPointer } from "./gesture";
import { moveGhost } from "./ghost";
import { commit, endTrial, handStore, tryOut, useHand, type Trial } from "./hand";
import { flash, refuse, useView } from "./view";

/** A plan that changes hands at every other layer has no front that anybody would want to draw. */
const MOST = 60;

/** Do what was tried, and say at the device what it was, or why it cannot be. */
function settle(trial: Trial): void {
  const done = commit(trial);
  const [place = ""] = trial.places;
  if ("refused" in done) refuse(place, done.refused);
  else flash(place, trial.delta.label);
}

export function BoundaryMarkers() {
  const scene = useScene();
  const { network, layout } = scene;
  const content = usePlan((whole) => whole);
  const boundaries = useMemo(() => boundariesOf(network, content, (node) => at(layout.itemOf, node), MOST), [network, content, layout]);
  const lanes = useMemo(() => lanesOf(boundaries.map((boundary) => frontPlace({ layout }, boundary, boundary.front, true))), [boundaries, layout]);
  const brush = useHand((hand) => hand.brush !== null);
  const layer = useCallback((element: HTMLDivElement | null) => {
    if (!element) return undefined;
    let before = 0;
    const put = ({ x, y, zoom }: Camera) => {
      element.style.transform = `translate(${x}px, ${y}px) scale(${zoom})`;
      // What inherits it is styled anew: not while the view is only shifted.
      if (zoom !== before) element.style.setProperty("--inverse", String(1 / zoom));
      before = zoom;
    };
    const now = cameraMan.control?.camera();
    if (now) put(now);
    return cameraMan.watch(put);
  }, []);
  const seen = new Map<string, number>();
  if (boundaries.length === 0) return null;
  return (
    <div ref={layer} className={brush ? "boundaries is-away" : "boundaries"} role="group" aria-label="Boundaries between devices">
      {boundaries.map((boundary, i) => {
        const pair = `${boundary.before} ${boundary.after}`;
        const number = (seen.get(pair) ?? 0) + 1;
        seen.set(pair, number);
        return <Marker key={`${pair} ${number}`} scene={scene} content={content} boundary={boundary} lane={at(lanes, i)} isFirst={i === 0} />;
      })}
    </div>
  );
}

interface MarkerProps {
  scene: Scene;
  content: Content;
  boundary: Boundary;
  /** How many handles stand between its own and its line. */
  lane: number;
  /** Tab leads to this one, the arrow keys to the others. */
  isFirst: boolean;
}

function Marker({ scene, content, boundary, lane, isFirst }: MarkerProps) {
  const { network } = scene;
  const { before, after, front, edges, cuts } = boundary;
  const marks = useMarks();
  const [drawn, setDrawn] = useState<number | null>(null);
  const shown = drawn ?? front;
  const { x, y } = frontPlace(scene, boundary, shown, drawn === null);
  const bytes = useMemo(() => trafficOf(network, content, edges)?.bytes ?? 0, [network, content, edges]);
  const name = lastBefore(network, boundary);
  const words = `after ${cuts ? `part of ${name}` : name}, ${formatBytes(Math.round(bytes))}`;
  const classOf = (place: string) => markClass(marks.get(deviceOf(content, place)) ?? null, true);

  const press = (event: ReactPointerEvent<HTMLDivElement>) => {
    if (event.button !== 0) return;
    event.stopPropagation();
    event.preventDefault();
    event.currentTarget.focus({ preventScroll: true });
    const tryAt = (wanted: number) => {
      setDrawn(wanted);
      const { delta, places } = moving(scene, content, boundary, wanted);
      tryOut(delta, places);
    };
    let latest: number | null = null;
    const move = (to: PointerEvent) => {
      const control = cameraMan.control;
      if (!control) return;
      moveGhost(to.clientX, to.clientY);
      const wanted = frontAt(scene, boundary, control.toCanvas({ x: to.clientX, y: to.clientY }));
      if (wanted !== latest) tryAt((latest = wanted));
    };
    const leave = () => {
      document.body.classList.remove("is-dragging-layers");
      handStore.setState({ dragged: null });
      setDrawn(null);
    };
    const up = () => {
      const { trial } = handStore.getState();
      leave();
      if (trial) settle(trial);
    };
    const cancel = () => {
      leave();
      endTrial();
    };
    document.body.classList.add("is-dragging-layers");
    handStore.setState({ dragged: "" });
    followPointer(event, { move, up, cancel });
  };

  const step = (to: number) => {
    const { delta, places } = moving(scene, content, boundary, to);
    const trial = tryOut(delta, places);
    if (trial) settle(trial);
  };
  const keyDown = (event: KeyboardEvent<HTMLDivElement>) => {
    const jumps: Record<string, number> = { ArrowDown: stepped(boundary, 1), ArrowUp: stepped(boundary, -1), Home: firstFront(boundary), End: lastFront(boundary) };
    const wanted = jumps[event.key];
    if (wanted !== undefined) step(bounded(boundary, wanted));
    else if (event.key === "ArrowLeft" || event.key === "ArrowRight") neighbour(event.currentTarget, event.key === "ArrowRight" ? 1 : -1)?.focus();
    else if (event.key === "Escape") event.currentTarget.closest<HTMLElement>(".canvas")?.focus();
    else return;
    event.preventDefault();
    event.stopPropagation();
  };

  const blamed = useView(({ blame }) => blame?.kind === "link" && blame.source === deviceOf(content, before) && blame.target === deviceOf(content, after));
  return (
    <div
      className={["boundary", drawn !== null && "is-drawn", blamed && "is-blamed"].filter(Boolean).join(" ")}
      style={{ left: x, top: y, width: CARD_WIDTH, "--lane": lane } as CSSProperties}
    >
      <span className="boundary-line" />
      <div
        className="boundary-handle nopan"
        role="slider"
        tabIndex={isFirst ? 0 : -1}
        aria-orientation="vertical"
        aria-label={`boundary between ${before} and ${after} ${words}`}
        aria-valuemin={firstFront(boundary)}
        aria-valuemax={lastFront(boundary)}
        aria-valuenow={front}
        aria-valuetext={words}
        title={`${before} | ${after}: ${words}. Draw it along the network, or press ↑ ↓.`}
        onPointerDown={press}
        onFocus={(event) => {
          if (event.currentTarget.matches(":focus-visible")) reveal(scene, boundary);
        }}
        onKeyDown={keyDown}
        data-testid={`boundary-${before}-${after}`}
      >
        <i className={classOf(before)} />
        <IconArrowsMoveVertical size={13} aria-hidden />
        <i className={classOf(after)} />
      </div>
      {drawn !== null && <BoundaryGhost what={`boundary after ${lastBefore(network, boundary, Math.max(drawn, 1))}`} />}
    </div>
  );
}

function reveal({ layout }: Scene, { units, front }: Boundary): void {
  const unit = units[Math.min(front, units.length - 1)];
  if (unit && layout.items.length > 0) cameraMan.reveal(at(unit, 0));
}

/** The next or last marker of the page. */
function neighbour(from: Element, by: 1 | -1): HTMLElement | undefined {
  const all = [...document.querySelectorAll<HTMLElement>(".boundary-handle")];
  return all[all.findIndex((one) => one === from) + by];
}
