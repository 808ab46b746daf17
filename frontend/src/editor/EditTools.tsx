/** Undo, redo, a first placement. */
import { ActionIcon, Button, Tooltip } from "@mantine/core";
import { IconArrowBackUp, IconArrowForwardUp, IconStack2, IconWand } from "@tabler/icons-react";
import { redo, undo, useHistory } from "@/plan/store";
import { HistoryButton } from "@/plans/HistoryButton";

interface EditToolsProps {
  spread: () => void;
  suggest: () => void;
  canSpread: boolean;
}

export function EditTools({ spread, suggest, canSpread }: EditToolsProps) {
  const { past, future } = useHistory();
  const [last, next] = [past.at(-1)?.delta.label, future.at(-1)?.delta.label];
  return (
    // A press by the mouse leaves the focus on the canvas, where the keys for the selection work.
    <div className="tools" role="toolbar" aria-label="Edit" onMouseDown={(event) => event.preventDefault()}>
      <Tooltip label={last === undefined ? "Nothing to undo" : `Undo: ${last} (Ctrl+Z)`}>
        <ActionIcon variant="subtle" color="gray" disabled={last === undefined} onClick={undo} aria-label={last === undefined ? "Undo" : `Undo: ${last}`} data-testid="undo">
          <IconArrowBackUp size={17} />
        </ActionIcon>
      </Tooltip>
      <Tooltip label={next === undefined ? "Nothing to redo" : `Redo: ${next} (Ctrl+Shift+Z)`}>
        <ActionIcon variant="subtle" color="gray" disabled={next === undefined} onClick={redo} aria-label={next === undefined ? "Redo" : `Redo: ${next}`} data-testid="redo">
          <IconArrowForwardUp size={17} />
        </ActionIcon>
      </Tooltip>
      <HistoryButton />
      <Button size="compact-sm" variant="default" className="can-shrink" leftSection={<IconStack2 size={14} />} disabled={!canSpread} onClick={spread} data-testid="spread" title="Contiguous runs of layers, balanced by work, one for each ready device">
        Spread evenly
      </Button>
      <Button size="compact-sm" variant="default" leftSection={<IconWand size={14} />} disabled={!canSpread} onClick={suggest} data-testid="suggest" title="Have the best plan searched for, within limits; see what limits this one">
        Suggest…
      </Button>
    </div>
  );
}
