/** The whole network in a corner, with what is in view; pressed or dragged it moves the view. Shown while not all is in view. */
import { useCallback, useEffect, useMemo, useRef, useState, type PointerEvent } from "react";
import { useMarks } from "@/devices/marks";
import { useShownPlan } from "@/plan/preview";
import { cameraMan } from "./camera";
import type { Scene } from "./context";
import type { Camera } from "./flow";
import { useOutline } from "./Overview";
import { fillsOf, paint, type Ink } from "./paint";
import { useSurface } from "./useSurface";

const ROOM = { width: 168, height: 112 };
const PAD = 6;

function seesAll(camera: Camera, { layout }: Scene, size: { width: number; height: number }): boolean {
  const { x, y, zoom } = camera;
  return x >= -2 && y + layout.top * zoom >= -2 && x + layout.width * zoom <= size.width + 2 && y + layout.height * zoom <= size.height + 2;
}

export function Minimap({ scene, size }: { scene: Scene; size: { width: number; height: number } }) {
  const [needed, setNeeded] = useState(false);
  useEffect(() => {
    const look = (camera: Camera) => setNeeded(!seesAll(camera, scene, size));
    const camera = cameraMan.control?.camera();
    if (camera) look(camera);
    return cameraMan.watch(look);
  }, [scene, size]);
  return needed ? <Whole scene={scene} size={size} /> : null;
}

function Whole({ scene, size }: { scene: Scene; size: { width: number; height: number } }) {
  const { network, tree, layout } = scene;
  const content = useShownPlan((whole) => whole);
  const marks = useMarks();
  const fills = useMemo(() => fillsOf(network, tree, layout, content), [network, tree, layout, content]);
  const outline = useOutline(scene);
  const zoom = Math.min((ROOM.width - 2 * PAD) / layout.width, (ROOM.height - 2 * PAD) / layout.height);
  const [width, height] = [Math.ceil(layout.width * zoom + 2 * PAD), Math.ceil(layout.height * zoom + 2 * PAD)];
  const draw = useCallback(
    (context: CanvasRenderingContext2D, ink: Ink, density: number) => {
      paint(context, { layout, tree, fills, strokes: null, marks, outline, blamed: null }, ink, { camera: { x: PAD, y: PAD, zoom }, width, height, density });
      const camera = cameraMan.control?.camera();
      if (!camera) return;
      const [left, top] = [(-camera.x / camera.zoom) * zoom + PAD, (-camera.y / camera.zoom) * zoom + PAD];
      const seen = { width: (size.width / camera.zoom) * zoom, height: (size.height / camera.zoom) * zoom };
      context.strokeStyle = ink.accent;
      context.lineWidth = 2;
      context.strokeRect(Math.max(left, 1), Math.max(top, 1), Math.min(left + seen.width, width - 1) - Math.max(left, 1), Math.min(top + seen.height, height - 1) - Math.max(top, 1));
    },
    [layout, tree, fills, marks, outline, zoom, width, height, size],
  );
  const { ref, redraw } = useSurface(width, height, draw);
  useEffect(() => cameraMan.watch(redraw), [redraw]);
  const dragging = useRef(false);
  const go = (event: PointerEvent<HTMLCanvasElement>) => {
    const origin = event.currentTarget.getBoundingClientRect();
    cameraMan.centre({ x: (event.clientX - origin.left - PAD) / zoom, y: (event.clientY - origin.top - PAD) / zoom });
  };
  return (
    <div className="minimap" data-testid="minimap">
      <canvas
        ref={ref}
        style={{ width, height }}
        role="img"
        aria-label="The whole network, with the part in view framed"
        onPointerDown={(event) => {
          event.currentTarget.setPointerCapture(event.pointerId);
          dragging.current = true;
          go(event);
        }}
        onPointerMove={(event) => dragging.current && go(event)}
        onPointerUp={() => (dragging.current = false)}
        onPointerCancel={() => (dragging.current = false)}
      />
    </div>
  );
}
