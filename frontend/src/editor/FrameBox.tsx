/** An open block: a frame around what it holds. Its title is a handle for all of it. */
import { IconArrowsDiagonalMinimize2 } from "@tabler/icons-react";
import type { Frame } from "@/graph/layout";
import { useScene } from "./context";
import { foldSize, foldTitle } from "./foldWords";

export function FrameBox({ frame }: { frame: Frame }) {
  const { tree } = useScene();
  const fold = tree.folds[frame.fold];
  if (!fold) return null;
  const size = foldSize(fold);
  return (
    <div className="fold-frame" style={{ width: frame.width, height: frame.height }} data-testid={`frame-${fold.name}`} data-depth={fold.depth}>
      <span className="frame-title nopan" data-frame={fold.index} style={{ maxWidth: frame.inX - 8 }} title={`${foldTitle(fold)}: ${size}. Drag it to a device, press it to select all of it.`}>
        <button type="button" tabIndex={-1} data-close-fold={fold.index} aria-label={`Fold ${fold.name}`} title={`Fold ${fold.name} (O)`}>
          <IconArrowsDiagonalMinimize2 size={12} />
        </button>
        <b>{fold.name}</b>
      </span>
    </div>
  );
}
