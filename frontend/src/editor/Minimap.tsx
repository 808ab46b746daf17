/** The whole network in a corner, with what is in view; pressed or dragged it moves the view. Shown while not all is in view. */
import { useCallback, useEffect, useMemo, useRef, useState, type PointerEvent } from "react";
import { useMarks } from "@/devices/marks";
import { useShownPlan } from "@/plan/preview";
import { useComparing } from "@/plans/comparing";
import { cameraMan } from "./camera";
import type { Scene } from "./context";
import type { Camera } from "./flow";
import { useHeats, useOutline } from "./Overview";
import { fillsOf, paint, type Ink } from "./paint";
import { useSurface } from "./useSurface";

const ROOM = { width: 168, height: 112 };
const PAD = 6;

interface Size {
  width: number;
  height: number;
}

function seesAll(camera: Camera, { layout }: Scene, size: Size): boolean {
  const { x, y, zoom } = camera;
  return x >= -2 && y + layout.top * zoom >= -2 && x + layout.width * zoom <= size.width + 2 && y + layout.height * zoom <= size.height + 2;
}

export function Minimap({ scene, size }: { scene: Scene; size: Size }) {
  const [needed, setNeeded] = useState(false);
  useEffect(() => {
    const look = (camera: Camera) => setNeeded(!seesAll(camera, scene, size));
    const camera = cameraMan.control?.camera();
    if (camera) look(camera);
    return cameraMan.watch(look);
  }, [scene, size]);
  return needed ? <Whole scene={scene} size={size} /> : null;
}

function Whole({ scene, size }: { scene: Scene; size: Size }) {
  const { network, tree, layout } = scene;
  const content = useShownPlan((whole) => whole);
  const marks = useMarks();
  const other = useComparing((state) => state.other?.content ?? null);
  const fills = useMemo(() => fillsOf(network, tree, layout, content, other), [network, tree, layout, content, other]);
  const around = useOutline(scene);
  const heats = useHeats(scene);
  const zoom = Math.min((ROOM.width - 2 * PAD) / layout.width, (ROOM.height - 2 * PAD) / layout.height);
  const [width, height] = [Math.ceil(layout.width * zoom + 2 * PAD), Math.ceil(layout.height * zoom + 2 * PAD)];
  const draw = useCallback(
    (context: CanvasRenderingContext2D, ink: Ink, density: number) => {
      paint(context, { layout, tree, fills, strokes: null, marks, ...around, heats, blamed: null }, ink, { camera: { x: PAD, y: PAD, zoom }, width, height, density });
    },
    [layout, tree, fills, marks, around, heats, zoom, width, height],
  );
  const { ref } = useSurface(width, height, draw);
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
      <Seen zoom={zoom} map={{ width, height }} size={size} />
    </div>
  );
}

/** The part in view: moved past React and the drawing, which stays as it is while the view moves. */
function Seen({ zoom, map, size }: { zoom: number; map: Size; size: Size }) {
  const frame = useRef<HTMLSpanElement>(null);
  const { width, height } = map;
  useEffect(() => {
    const put = ({ x, y, zoom: near }: Camera) => {
      if (!frame.current) return;
      const [left, top] = [Math.max(PAD - (x / near) * zoom, 0), Math.max(PAD - (y / near) * zoom, 0)];
      const [right, bottom] = [Math.min(PAD + ((size.width - x) / near) * zoom, width), Math.min(PAD + ((size.height - y) / near) * zoom, height)];
      frame.current.style.transform = `translate(${left}px, ${top}px)`;
      frame.current.style.width = `${Math.max(right - left, 2)}px`;
      frame.current.style.height = `${Math.max(bottom - top, 2)}px`;
    };
    const camera = cameraMan.control?.camera();
    if (camera) put(camera);
    return cameraMan.watch(put);
  }, [zoom, width, height, size]);
  return <span ref={frame} className="minimap-seen" />;
}
