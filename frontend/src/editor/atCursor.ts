/** What is done to the layer or block that the cursor stands on. */
import { at, type Network } from "@/graph/network";
import { deviceOf } from "@/plan/content";
import { placesOfNode } from "@/plan/divisions";
import { planStore } from "@/plan/store";
import { cameraMan } from "./camera";
import type { Scene } from "./context";
import { closeFold, foldAt, openFold, setAlike } from "./folding";
import { viewStore } from "./view";

export function cursorNode(): number | null {
  const { cursor, selection } = viewStore.getState();
  return cursor ?? [...selection][0] ?? null;
}

export function setOpen(scene: Scene, fold: number, wanted: boolean): void {
  cameraMan.holdNext(fold);
  (wanted ? openFold : closeFold)(scene, fold);
}

/** Open the block at the cursor, or close the one around it; or all like it. */
export function toggleFold(scene: Scene, all: boolean): void {
  const node = cursorNode();
  const found = node === null ? null : foldAt(scene, node);
  if (!found) return;
  if (all) setAlike(scene, found.fold, found.isOpen ? "folded" : "open");
  else setOpen(scene, found.fold, !found.isOpen);
}

/** Open the closed block at the cursor, or else the details of the layer. */
export function enter(scene: Scene): void {
  const node = cursorNode();
  if (node === null) return;
  const { fold } = at(scene.layout.items, at(scene.layout.itemOf, node));
  if (fold >= 0) setOpen(scene, fold, true);
  else viewStore.setState({ detailsOpen: true });
}

/** Choose how the first tensor travels that leaves the layer's device, or else comes to it. */
export function openLink(network: Network): void {
  const { content } = planStore.getState();
  const node = cursorNode();
  if (node === null) return;
  const crosses = (index: number) => {
    const edge = at(network.edges, index);
    const [from, to] = [edge.from, edge.to].map((end) => placesOfNode(content, at(network.nodes, end)).map((place) => deviceOf(content, place))) as [string[], string[]];
    return from.some((maker) => to.some((taker) => maker !== taker));
  };
  const link = [...at(network.outgoing, node), ...at(network.incoming, node)].find(crosses);
  if (link === undefined) viewStore.setState({ announcement: "Nothing of this layer travels to another device" });
  else viewStore.setState({ link });
}
