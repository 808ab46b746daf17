/** What folds are called. */
import { plural } from "@/app/format";
import type { Fold } from "@/graph/folds";

const KINDS: Record<string, string> = {
  stage: "Stage",
  residual: "Residual block",
  inception: "Inception module",
  fire: "Fire module",
  dense: "Dense layer",
  branches: "Branches",
  run: "Run of layers",
  manual: "Block",
  named: "Block",
};

export const foldKind = ({ kind }: Pick<Fold, "kind">): string => KINDS[kind] ?? "Block";

/** "Residual block residual3". */
export const foldTitle = (fold: Pick<Fold, "kind" | "name">): string => `${foldKind(fold)} ${fold.name}`;

/** "4 blocks, 48 layers". */
export function foldSize({ children, nodes }: Pick<Fold, "children" | "nodes">): string {
  const layers = plural(nodes.length, "layer");
  return children.length > 1 ? `${plural(children.length, "block")}, ${layers}` : layers;
}
