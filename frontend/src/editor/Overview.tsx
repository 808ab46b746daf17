/** The canvas from far away: one drawing in place of all cards. */
import { useCallback, useEffect, useMemo } from "react";
import { useMarks } from "@/devices/marks";
import { nodesOfItem } from "@/graph/select";
import { at } from "@/graph/network";
import { useShownPlan } from "@/plan/preview";
import { cameraMan } from "./camera";
import { useScene, type Scene } from "./context";
import { fillsOf, paint, strokesOf, type Ink, type Picture } from "./paint";
import { useSurface } from "./useSurface";
import { useView } from "./view";

/** What stands around each card; shared with the small map. */
export function useOutline({ network, tree, layout }: Scene): Picture["outline"] {
  const selection = useView((view) => view.selection);
  const hits = useView((view) => view.hits);
  const wrong = useView((view) => view.wrong);
  return useCallback(
    (item: number) => {
      const nodes = nodesOfItem(tree, at(layout.items, item));
      const chosen = nodes.reduce((count, node) => count + (selection.has(node) ? 1 : 0), 0);
      if (chosen > 0) return chosen === nodes.length ? "selected" : "partly";
      if (hits.size > 0 && nodes.some((node) => hits.has(node))) return "hit";
      return wrong.size > 0 && nodes.some((node) => wrong.has(at(network.nodes, node).name)) ? "wrong" : null;
    },
    [network, tree, layout, selection, hits, wrong],
  );
}

export function Overview({ size }: { size: { width: number; height: number } }) {
  const scene = useScene();
  const { network, tree, layout } = scene;
  const content = useShownPlan((whole) => whole);
  const marks = useMarks();
  const fills = useMemo(() => fillsOf(network, tree, layout, content), [network, tree, layout, content]);
  const strokes = useMemo(() => strokesOf(network, layout, content), [network, layout, content]);
  const outline = useOutline(scene);
  const blamed = useView(({ blame }) => (blame?.kind === "device" ? blame.device : null));
  const draw = useCallback(
    (context: CanvasRenderingContext2D, ink: Ink, density: number) => {
      const camera = cameraMan.control?.camera();
      if (camera) paint(context, { layout, tree, fills, strokes, marks, outline, blamed }, ink, { camera, width: size.width, height: size.height, density });
    },
    [layout, tree, fills, strokes, marks, outline, blamed, size],
  );
  const { ref, redraw } = useSurface(size.width, size.height, draw);
  useEffect(() => cameraMan.watch(redraw), [redraw]);
  return <canvas ref={ref} className="overview" style={size} aria-hidden data-testid="overview" />;
}
