/** What the menu of a card offers about its block. */
import { Menu } from "@mantine/core";
import { IconArrowsDiagonal, IconArrowsDiagonalMinimize2 } from "@tabler/icons-react";
import { formatWhole } from "@/app/format";
import { at } from "@/graph/network";
import { alike } from "@/graph/folds";
import { cameraMan } from "./camera";
import type { Scene } from "./context";
import { closeFold, foldAt, openFold, setAlike } from "./folding";
import { foldKind } from "./foldWords";
import { useView } from "./view";

export function FoldItems({ scene }: { scene: Scene | null }) {
  const cursor = useView((view) => view.cursor);
  const found = scene && cursor !== null && cursor < scene.layout.itemOf.length ? foldAt(scene, cursor) : null;
  if (!scene || !found) return null;
  const fold = at(scene.tree.folds, found.fold);
  const count = alike(scene.tree, found.fold).length;
  const word = found.isOpen ? "Fold" : "Open";
  const Icon = found.isOpen ? IconArrowsDiagonalMinimize2 : IconArrowsDiagonal;
  const one = () => {
    cameraMan.holdNext(found.fold);
    (found.isOpen ? closeFold : openFold)(scene, found.fold);
  };
  return (
    <>
      <Menu.Divider />
      <Menu.Label>{foldKind(fold)}</Menu.Label>
      <Menu.Item leftSection={<Icon size={14} />} rightSection={<kbd>O</kbd>} onClick={one} data-testid="menu-fold">
        {word} {fold.name}
      </Menu.Item>
      {count > 1 && (
        <Menu.Item leftSection={<Icon size={14} />} rightSection={<kbd>Shift O</kbd>} onClick={() => setAlike(scene, found.fold, found.isOpen ? "folded" : "open")} data-testid="menu-fold-alike">
          {word} all {formatWhole(count)} like it
        </Menu.Item>
      )}
    </>
  );
}
