/** Undo, redo, a first placement; and whether the plan is saved. */
import { ActionIcon, Button, Tooltip } from "@mantine/core";
import { IconArrowBackUp, IconArrowForwardUp, IconStack2, IconWand } from "@tabler/icons-react";
import { redo, undo, useHistory, useLabel } from "@/plan/store";

interface EditToolsProps {
  spread: () => void;
  suggest: () => void;
  canSpread: boolean;
}

export function EditTools({ spread, suggest, canSpread }: EditToolsProps) {
  const label = useLabel();
  const past = useHistory().pastStates.length;
  const next = useHistory().futureStates.at(-1);
  return (
    // A press by the mouse leaves the focus on the canvas, where the keys for the selection work.
    <div className="tools" role="toolbar" aria-label="Edit" onMouseDown={(event) => event.preventDefault()}>
      <Tooltip label={past > 0 ? `Undo: ${label} (Ctrl+Z)` : "Nothing to undo"}>
        <ActionIcon variant="subtle" color="gray" disabled={past === 0} onClick={undo} aria-label="Undo" data-testid="undo">
          <IconArrowBackUp size={17} />
        </ActionIcon>
      </Tooltip>
      <Tooltip label={next ? `Redo: ${next.label ?? ""} (Ctrl+Shift+Z)` : "Nothing to redo"}>
        <ActionIcon variant="subtle" color="gray" disabled={!next} onClick={redo} aria-label="Redo" data-testid="redo">
          <IconArrowForwardUp size={17} />
        </ActionIcon>
      </Tooltip>
      <Button size="compact-sm" variant="default" className="can-shrink" leftSection={<IconStack2 size={14} />} disabled={!canSpread} onClick={spread} data-testid="spread" title="Contiguous runs of layers, balanced by work, one for each ready device">
        Spread evenly
      </Button>
      <Button size="compact-sm" variant="default" leftSection={<IconWand size={14} />} disabled={!canSpread} onClick={suggest} data-testid="suggest" title="Have the best plan searched for, within limits; see what limits this one">
        Suggest…
      </Button>
    </div>
  );
}

const SYNC_WORDS = { loading: "", saved: "Saved", unsaved: "Saving…", saving: "Saving…", conflict: "Not saved", failed: "Not saved, trying again" } as const;

export function SyncNote({ state }: { state: keyof typeof SYNC_WORDS }) {
  return (
    <span className={`sync sync-${state}`} data-testid="sync" role="status">
      {SYNC_WORDS[state]}
    </span>
  );
}
