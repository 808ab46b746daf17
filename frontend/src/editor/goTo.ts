/** Going to a block or layer from where it is named: the trail, the palette. */
import { at } from "@/graph/network";
import { holderOf, nodesOfPlace, type Place } from "@/graph/trail";
import { cameraMan } from "./camera";
import { foldKind } from "./foldWords";
import { openFold, type Folded } from "./folding";
import { select, viewStore } from "./view";

export const titleOf = ({ network, tree }: Pick<Folded, "network" | "tree">, place: Place): string => (place.kind === "fold" ? at(tree.folds, place.fold).name : at(network.nodes, place.node).name);
export const kindOf = ({ network, tree }: Pick<Folded, "network" | "tree">, place: Place): string => (place.kind === "fold" ? foldKind(at(tree.folds, place.fold)) : at(network.nodes, place.node).op);

export const isOpen = ({ layout }: Folded, fold: number): boolean => layout.frames.some((frame) => frame.fold === fold);

/** Select a block or layer and have it in view; closed blocks around it are opened. */
export function goTo(scene: Folded, place: Place): void {
  const nodes = nodesOfPlace(scene.tree, place);
  const first = at(nodes, 0);
  select(nodes);
  const holder = holderOf(scene.tree, place);
  if (holder >= 0 && !isOpen(scene, holder)) {
    openFold(scene, holder);
    cameraMan.showNext(first);
  } else if (place.kind === "fold") cameraMan.showFold(place.fold);
  else cameraMan.show(first);
  viewStore.setState({ announcement: `${kindOf(scene, place)} ${titleOf(scene, place)} selected` });
}
