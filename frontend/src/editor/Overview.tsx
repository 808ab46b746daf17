/** The canvas from far away: one drawing in place of all cards. */
import { useCallback, useEffect, useMemo } from "react";
import { useMarks } from "@/devices/marks";
import { nodesOfItem } from "@/graph/select";
import { at } from "@/graph/network";
import { useShownPlan } from "@/plan/preview";
import { useComparing } from "@/plans/comparing";
import { cameraMan } from "./camera";
import { useCosts } from "@/profiles/costs";
import { useScene, type Scene } from "./context";
import { measuredOf, shareOf } from "./measure";
import { useDims } from "./find";
import { fillsOf, paint, strokesOf, type Ink, type Picture } from "./paint";
import { summaryOf } from "./troubles";
import { useSurface } from "./useSurface";
import { useView } from "./view";

/** What stands around each card, what is said of it, and whether something else is looked for; shared with the small map. */
export function useOutline({ network, tree, layout }: Scene): Pick<Picture, "outline" | "trouble" | "faint"> {
  const selection = useView((view) => view.selection);
  const hits = useView((view) => view.hits);
  const troubles = useView((view) => view.troubles);
  const dims = useDims();
  const nodesOf = useMemo(() => layout.items.map((item) => nodesOfItem(tree, item)), [tree, layout]);
  const outline = useMemo(
    () =>
      nodesOf.map((nodes): Picture["outline"][number] => {
        const chosen = selection.size === 0 ? 0 : nodes.reduce((count, node) => count + (selection.has(node) ? 1 : 0), 0);
        if (chosen > 0) return chosen === nodes.length ? "selected" : "partly";
        return hits.size > 0 && nodes.some((node) => hits.has(node)) ? "hit" : null;
      }),
    [nodesOf, selection, hits],
  );
  const trouble = useMemo(
    () => nodesOf.map((nodes) => (troubles.size === 0 ? null : (summaryOf(troubles, nodes.map((node) => at(network.nodes, node).name))?.worst.severity ?? null))),
    [network, nodesOf, troubles],
  );
  const faint = useMemo(() => nodesOf.map((nodes) => dims && !nodes.some((node) => hits.has(node))), [nodesOf, dims, hits]);
  return useMemo(() => ({ outline, trouble, faint }), [outline, trouble, faint]);
}

/** How warm each card is; null while the devices' colours are shown. */
export function useHeats({ network, tree, layout, most }: Scene): readonly number[] | null {
  const heat = useView((view) => view.heat);
  const measure = useView((view) => view.measure);
  const content = useShownPlan((whole) => whole);
  const costs = useCosts();
  return useMemo(
    () => (heat ? layout.items.map((item) => shareOf(measuredOf(nodesOfItem(tree, item).map((node) => at(network.nodes, node)), measure, content, costs), most[measure])) : null),
    [heat, network, tree, layout, most, measure, content, costs],
  );
}

export function Overview({ size }: { size: { width: number; height: number } }) {
  const scene = useScene();
  const { network, tree, layout } = scene;
  const content = useShownPlan((whole) => whole);
  const marks = useMarks();
  const other = useComparing((state) => state.other?.content ?? null);
  const fills = useMemo(() => fillsOf(network, tree, layout, content, other), [network, tree, layout, content, other]);
  const strokes = useMemo(() => strokesOf(network, layout, content), [network, layout, content]);
  const around = useOutline(scene);
  const heats = useHeats(scene);
  const blamed = useView(({ blame }) => (blame?.kind === "device" ? blame.device : null));
  const draw = useCallback(
    (context: CanvasRenderingContext2D, ink: Ink, density: number) => {
      const camera = cameraMan.control?.camera();
      if (camera) paint(context, { layout, tree, fills, strokes, marks, ...around, heats, blamed }, ink, { camera, width: size.width, height: size.height, density });
    },
    [layout, tree, fills, strokes, marks, around, heats, blamed, size],
  );
  const { ref, redraw } = useSurface(size.width, size.height, draw);
  useEffect(() => cameraMan.watch(redraw), [redraw]);
  return <canvas ref={ref} className="overview" style={size} aria-hidden data-testid="overview" />;
}
