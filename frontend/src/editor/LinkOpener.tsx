/** Opens the view that the address brings, once. It comes only where the address brings one. */
import { useEffect, useRef } from "react";
import { plural } from "@/app/format";
import { navigate } from "@/app/router";
import type { Layout } from "@/graph/layout";
import { notice } from "@/plan/notice";
import { cameraMan } from "./camera";
import type { Scene } from "./context";
import { ask } from "./find";
import { MEASURES, select, viewStore } from "./view";
import { readRuns, readView, sameNames, type LinkedView } from "./viewLink";

/** What cannot be shown of a link, in a sentence; null when all can. */
function misfits({ nodes, open }: LinkedView, { network, tree }: Scene): string | null {
  const gone = (open ?? []).filter((name) => !tree.byName.has(name)).length;
  if (nodes !== network.nodes.length) return "The link is of another form of the network: its selection and place are not shown.";
  return gone > 0 ? `The link opens ${plural(gone, "block")} that the network does not have any more.` : null;
}

/** All that does not depend on which layers there are. */
function showAlike({ table, sort, grouped, measure, heat, details, find, onlyHits }: LinkedView): void {
  viewStore.setState((now) => ({
    mode: table ? "table" : "graph",
    sort,
    grouped,
    measure: MEASURES.find((known) => known === measure) ?? now.measure,
    heat,
    detailsOpen: details,
    onlyHits,
  }));
  if (find !== "") ask(find);
}

interface LinkOpenerProps {
  /** The address, from its question mark on. */
  search: string;
  scene: Scene | null;
  /** Whether the plan is there. */
  loaded: boolean;
}

export function LinkOpener({ search, scene, loaded }: LinkOpenerProps): null {
  const waiting = useRef<{ view: LinkedView; asked: Layout | null } | null>(null);
  useEffect(() => {
    const view = readView(search);
    waiting.current = view && { view, asked: null };
  }, [search]);

  useEffect(() => {
    const link = waiting.current;
    if (!link || !loaded || !scene) return;
    const { view } = link;
    const { network, tree, layout } = scene;
    if (view.open) {
      const known = (names: readonly string[]) => names.filter((name) => tree.byName.has(name));
      const folds = { open: known(view.open), base: known(view.base ?? view.open) };
      const there = sameNames(folds.open, layout.open) && sameNames(folds.base, layout.base);
      // First the blocks: the layout that comes of them is where the camera is at home.
      if (link.asked === null && !there) {
        link.asked = layout;
        viewStore.setState({ folds });
        return;
      }
      // What layers cost may come before the other layout does: that is the same picture still.
      if (!there && link.asked === layout) return;
    }
    let frame = 0;
    const show = () => {
      // The canvas comes a moment after its layout.
      if (cameraMan.control === null || cameraMan.layout !== layout) {
        frame = requestAnimationFrame(show);
        return;
      }
      const trouble = misfits(view, scene);
      showAlike(view);
      if (view.nodes === network.nodes.length) {
        select(readRuns(view.selection, view.nodes).filter((node) => network.nodes[node]?.kind === "layer"));
        if (view.camera) cameraMan.goTo(view.camera);
      }
      if (trouble !== null) notice(trouble);
      waiting.current = null;
      // From here on the view is the person's: an address that still told the old one would lie after the first click.
      navigate(window.location.pathname, true);
    };
    show();
    return () => cancelAnimationFrame(frame);
  }, [loaded, scene]);
  return null;
}
