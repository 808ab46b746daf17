/** Details of what is selected: one layer, a block, or several layers. */
import { useEffect, useMemo } from "react";
import type { Model } from "@/api/types";
import { cameraMan } from "@/editor/camera";
import type { Scene } from "@/editor/context";
import { useView } from "@/editor/view";
import { at } from "@/graph/network";
import "@/styles/devices.css";
import "@/styles/details.css";
import { GroupDetails } from "./GroupDetails";
import { LayerDetails } from "./LayerDetails";

/** The panel and its distance from the edge. */
const COVERED = 312;

export default function Details({ model, scene }: { model: Model; scene: Scene }) {
  const { network, tree } = scene;
  const selection = useView((view) => view.selection);
  const chosen = useMemo(() => [...selection].filter((node) => network.nodes[node]?.kind === "layer").sort((a, b) => a - b), [selection, network]);
  const fold = useMemo(() => tree.folds.find(({ nodes }) => nodes.length === chosen.length && nodes.every((node, i) => node === chosen[i])) ?? null, [tree, chosen]);
  const [first] = chosen;
  useEffect(() => cameraMan.cover(COVERED), []);
  useEffect(() => {
    if (first !== undefined) cameraMan.uncover(first);
  }, [first]);
  if (first === undefined) return null;
  if (chosen.length === 1) return <LayerDetails key={at(network.nodes, first).name} model={model} network={network} node={first} />;
  return <GroupDetails key={`${first} ${chosen.length}`} model={model} network={network} chosen={chosen} fold={fold} scene={scene} />;
}
