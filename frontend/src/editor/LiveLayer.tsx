/** The running deployment above the network: frames that flow, what limits it, each stage's time; still for who wants no motion. */
import { useReducedMotion } from "@mantine/hooks";
import { useCallback, useEffect, useMemo, useRef } from "react";
import { formatDuration, formatPercent } from "@/app/format";
import { useMarks } from "@/devices/marks";
import { usePipeline } from "@/live/pipelineStore";
import { cameraMan } from "./camera";
import { useScene } from "./context";
import { advance, liveScene, paintLive, stageCards, type LivePicture, type Motion } from "./livePaint";
import type { Ink } from "./paint";
import { Rhythm } from "./rhythm";
import { useSurface } from "./useSurface";
import { useView } from "./view";

const PULSE_S = 1.6;

export default function LiveLayer({ size }: { size: { width: number; height: number } }) {
  const { network, tree, layout } = useScene();
  const shown = useView((view) => view.live);
  const marks = useMarks();
  const now = usePipeline((state) => state.now);
  const bottleneck = usePipeline((state) => state.bottleneck);
  const still = useReducedMotion(false, { getInitialValueInEffect: false });
  const scene = useMemo(() => (shown ? liveScene(network, tree, layout, shown.content) : null), [network, tree, layout, shown]);
  const cards = useMemo(() => (shown ? stageCards(network, tree, layout, shown.content, shown.stages) : new Map<string, number>()), [network, tree, layout, shown]);
  const chips = useMemo(() => {
    const told = new Map<number, { text: string; device: string; queued: number }[]>();
    for (const { stage, device, computeS, queued } of now?.stages ?? []) {
      const card = cards.get(stage.split("@")[0] ?? stage);
      if (card === undefined || computeS === null) continue;
      const busy = bottleneck?.kind === "device" && bottleneck.name === device ? ` · ${formatPercent(Math.min(bottleneck.share, 1))} busy` : "";
      const text = `${formatDuration(computeS)}${busy}${queued > 0 ? ` · ${queued} wait` : ""}`;
      told.set(card, [...(told.get(card) ?? []), { text, device, queued }].slice(0, 3));
    }
    return told;
  }, [now, cards, bottleneck]);
  const motion = useRef<Motion>({ phases: new Float64Array(0), pulse: 1, still });
  const picture = useMemo<LivePicture | null>(() => scene && shown && { scene, now, bottleneck, marks, lost: shown.lost, chips }, [scene, now, bottleneck, marks, shown, chips]);
  const latest = useRef(picture);
  const draw = useCallback(
    (context: CanvasRenderingContext2D, ink: Ink, density: number) => {
      const camera = cameraMan.control?.camera();
      if (camera && latest.current) paintLive(context, latest.current, motion.current, ink, { camera, width: size.width, height: size.height, density });
    },
    [size],
  );
  const { ref, redraw, paint } = useSurface(size.width, size.height, draw);
  useEffect(() => {
    latest.current = picture;
    const ways = picture?.scene.ways.length ?? 0;
    if (motion.current.phases.length !== ways) motion.current.phases = new Float64Array(ways);
    redraw();
  }, [picture, redraw]);
  useEffect(() => cameraMan.watch(redraw), [redraw]);
  const flows = (now?.framesPerS ?? 0) > 0;
  useEffect(() => {
    motion.current.still = still;
    motion.current.pulse = 1;
    if (!flows || still) return;
    let frame = 0;
    const rhythm = new Rhythm(performance.now());
    const tick = (time: number) => {
      frame = requestAnimationFrame(tick);
      const passed = rhythm.beat(time);
      if (passed === null || !latest.current) return;
      // After a while in the background time has not stood still, but nobody saw it.
      advance(motion.current, latest.current, Math.min(passed, 500) / 1000);
      motion.current.pulse = 0.5 + 0.5 * Math.cos((2 * Math.PI * time) / 1000 / PULSE_S);
      paint();
    };
    frame = requestAnimationFrame(tick);
    return () => cancelAnimationFrame(frame);
  }, [flows, still, redraw, paint]);
  return <canvas ref={ref} className="live-layer" style={size} aria-hidden data-testid="live-layer" data-flows={flows} />;
}
