/** Whether the plan is saved, plainly. */
import { IconCloudCheck, IconCloudOff, IconCloudUp, IconCloudX } from "@tabler/icons-react";
import { useSync, type Sync, type SyncState } from "@/plan/sync";

const WORDS: Record<SyncState, readonly [word: string, what: string]> = {
  loading: ["", ""],
  saved: ["Saved", "The studio has every edit."],
  unsaved: ["Saving…", "Your last edit is on its way to the studio."],
  saving: ["Saving…", "Your last edit is on its way to the studio."],
  conflict: ["Not saved", "You and another window changed the same: choose which stands. Your edits are kept in this browser."],
  offline: ["Offline, kept here", "The studio does not answer. Your edits are kept in this browser, also when it is closed, and are saved as soon as the studio answers."],
  failed: ["Not saved, kept here", "The studio does not take the plan. Your edits are kept in this browser."],
  gone: ["Not saved, kept here", "The plan was removed in another window. It is kept in this one."],
};

const ICONS = { loading: null, saved: IconCloudCheck, unsaved: IconCloudUp, saving: IconCloudUp, conflict: IconCloudX, offline: IconCloudOff, failed: IconCloudX, gone: IconCloudX } as const;

function wordsOf({ state, stored }: Pick<Sync, "state" | "stored">): readonly [string, string] {
  if (stored || !["offline", "failed", "gone"].includes(state)) return WORDS[state];
  return ["Not saved", "The studio does not have your edits, and this browser has no room for them: export the plan before you leave."];
}

export function SyncNote() {
  const state = useSync((sync) => sync.state);
  const stored = useSync((sync) => sync.stored);
  const [word, what] = wordsOf({ state, stored });
  const Icon = ICONS[state];
  return (
    <span className={`sync sync-${state}`} data-testid="sync" data-state={state} role="status" title={what}>
      {Icon && <Icon size={15} aria-hidden />}
      {word}
    </span>
  );
}
