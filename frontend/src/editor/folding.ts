/** Opening and closing folds: what is shown, not part of the plan. */
import { plural } from "@/app/format";
import { alike, shownFold, withHolders, type FoldTree } from "@/graph/folds";
import type { Layout } from "@/graph/layout";
import { at, type Network } from "@/graph/network";
import { cameraMan } from "./camera";
import { foldTitle } from "./foldWords";
import { viewStore } from "./view";

export interface Folded {
  network: Network;
  tree: FoldTree;
  layout: Layout;
}

/** Show these folds open. Columns stay as they are unless the whole is to be wrapped anew. */
function show({ tree, layout }: Folded, open: ReadonlySet<string>, announcement: string, anew: boolean): void {
  const names = tree.folds.map(({ name }) => name).filter((name) => open.has(name));
  viewStore.setState({ folds: { open: names, base: anew ? names : layout.base }, announcement });
}

const told = (scene: Folded, fold: number, word: string) => `${foldTitle(at(scene.tree.folds, fold))} ${word}`;

export function openFold(scene: Folded, fold: number): void {
  const names = withHolders(scene.tree, fold).map((index) => at(scene.tree.folds, index).name);
  show(scene, new Set([...scene.layout.open, ...names]), told(scene, fold, "opened"), false);
}

/** What it holds is closed with it. */
export function closeFold(scene: Folded, fold: number): void {
  const open = new Set(scene.layout.open);
  open.delete(at(scene.tree.folds, fold).name);
  show(scene, open, told(scene, fold, "folded"), false);
}

/** Open everything that hides a node; false when it is shown already. */
export function openTo(scene: Folded, node: number): boolean {
  const { tree, layout } = scene;
  const open = new Set(layout.open);
  if (shownFold(tree, node, (fold) => open.has(at(tree.folds, fold).name)) < 0) return false;
  openFold(scene, at(tree.foldOf, node));
  return true;
}

/** Have a node in the middle. One that a fold hides comes with the picture in which it is open. */
export function showNode(scene: Folded | null, node: number): void {
  if (scene && openTo(scene, node)) cameraMan.showNext(node);
  else cameraMan.show(node);
}

export function setAlike(scene: Folded, fold: number, wanted: "open" | "folded"): void {
  const open = new Set(scene.layout.open);
  const same = alike(scene.tree, fold);
  for (const one of same) {
    if (wanted === "folded") open.delete(one.name);
    else for (const holder of withHolders(scene.tree, one.index)) open.add(at(scene.tree.folds, holder).name);
  }
  show(scene, open, `${plural(same.length, "block")} like ${at(scene.tree.folds, fold).name} ${wanted === "open" ? "opened" : "folded"}`, true);
}

export function setAll(scene: Folded, wanted: "open" | "folded"): void {
  const open = wanted === "open" ? scene.tree.folds.map(({ name }) => name) : [];
  cameraMan.fitNext();
  show(scene, new Set(open), wanted === "open" ? "All blocks opened" : "All blocks folded", true);
}

/** The fold to open or close at a node: the closed one that shows it, or else the innermost open one that holds it. */
export function foldAt({ tree, layout }: Folded, node: number): { fold: number; isOpen: boolean } | null {
  const { fold } = at(layout.items, at(layout.itemOf, node));
  if (fold >= 0) return { fold, isOpen: false };
  const innermost = at(tree.foldOf, node);
  return innermost < 0 ? null : { fold: innermost, isOpen: true };
}
