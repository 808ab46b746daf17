/** Opens the list of steps. */
import { ActionIcon, Popover } from "@mantine/core";
import { IconHistory } from "@tabler/icons-react";
import { lazy, Suspense, useEffect, useMemo } from "react";
import { insist } from "@/app/insist";
import { useStore } from "zustand";
import { createStore } from "zustand/vanilla";
import { useCommands, type Command } from "@/app/commands";
import { redo, undo, useHistory } from "@/plan/store";

const HistoryList = lazy(() => insist(() => import("./HistoryList")));

const historyStore = createStore<{ open: boolean }>()(() => ({ open: false }));
const setOpen = (open: boolean): void => historyStore.setState({ open });

export function HistoryButton() {
  const open = useStore(historyStore, (state) => state.open);
  const { past, future } = useHistory();
  useEffect(() => () => setOpen(false), []);
  const [last, next] = [past.at(-1)?.delta.label, future.at(-1)?.delta.label];
  useCommands(
    useMemo((): Command[] => [
      { id: "plan.undo", group: "Plan", title: last === undefined ? "Undo" : `Undo: ${last}`, keys: "Ctrl Z", words: "back", unable: last === undefined ? "There is nothing to undo." : null, run: undo },
      { id: "plan.redo", group: "Plan", title: next === undefined ? "Redo" : `Redo: ${next}`, keys: "Ctrl Shift Z or Ctrl Y", words: "again forward", unable: next === undefined ? "There is nothing to redo." : null, run: redo },
      { id: "plan.history", group: "Plan", title: "Show the history of steps", words: "undo redo back", run: () => setOpen(true) },
    ], [last, next]),
  );
  return (
    <Popover opened={open} onChange={setOpen} position="bottom-start" shadow="md" withinPortal trapFocus returnFocus>
      <Popover.Target>
        <ActionIcon variant="subtle" color="gray" aria-label="History of steps" title="History of steps" aria-expanded={open} aria-haspopup="dialog" onClick={() => setOpen(!open)} data-testid="history">
          <IconHistory size={17} />
        </ActionIcon>
      </Popover.Target>
      <Popover.Dropdown onMouseDown={(event) => event.stopPropagation()} className="history" aria-label="History of steps" data-testid="history-list">
        <Suspense fallback={<p className="loading">…</p>}>
          <HistoryList close={() => setOpen(false)} />
        </Suspense>
      </Popover.Dropdown>
    </Popover>
  );
}
