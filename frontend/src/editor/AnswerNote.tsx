/** Over the canvas, near the hand: what the last edit changed, old beside new, or why it was refused. It goes by itself. */
import { ActionIcon } from "@mantine/core";
import { IconBan, IconX } from "@tabler/icons-react";
import { useEffect, useState } from "react";
import { figureRows } from "@/plan/changes";
import { blameOf } from "@/planner/blame";
import { usePlanner } from "@/planner/store";
import { resourceWords } from "@/planner/words";
import { FigureChip } from "./FigureChip";
import { useHand } from "./hand";
import { useOutcome, type Outcome } from "./outcome";
import { useView, viewStore } from "./view";

const SHOWN_MS = 9000;

export function AnswerNote() {
  const outcome = useOutcome();
  const flash = useView((view) => view.flash);
  const dragged = useHand((hand) => hand.dragged);
  const splitting = useView((view) => view.splitting);
  const [closed, setClosed] = useState(0);
  const edit = outcome?.edit ?? 0;
  const fresh = edit > 0 && edit !== closed;
  useLeaving(fresh && !outcome?.isTrial ? edit : 0, setClosed);
  // At the pointer, or in the form, the same is said already.
  const shown = outcome !== null && dragged === null && !splitting && (outcome.isTrial || fresh) ? outcome : null;
  useBlame(shown);
  const refused = flash?.refused === true ? flash.text : null;
  if (dragged !== null || splitting) return null;
  if (refused !== null) {
    return (
      <p className="answer is-refused" data-testid="refusal">
        <IconBan size={16} aria-hidden /> <b>Not done.</b> {refused}
      </p>
    );
  }
  if (!shown) return null;
  return <Answer outcome={shown} close={() => setClosed(edit)} />;
}

/** Closes the answer to an edit after a while, not while the pointer or the focus is on it. */
function useLeaving(edit: number, close: (edit: number) => void): void {
  useEffect(() => {
    if (edit === 0) return;
    let timer: ReturnType<typeof setTimeout>;
    const look = () => {
      const isHeld = document.querySelector(".answer:hover, .answer:focus-within") !== null;
      if (isHeld) timer = setTimeout(look, 1000);
      else close(edit);
    };
    timer = setTimeout(look, SHOWN_MS);
    return () => clearTimeout(timer);
  }, [edit, close]);
}

/** What limits the plan is marked on the graph while the answer is read; the planner marks it for as long as it is open. */
function useBlame(shown: Outcome | null): void {
  const planner = usePlanner(({ open, tab }) => open && tab === "plan");
  const painting = useHand(({ brush }) => brush !== null);
  const bottleneck = shown && !shown.isTrial && !painting ? shown.now.bottleneck : null;
  const [kind, name] = [bottleneck?.kind ?? null, bottleneck?.name ?? ""];
  useEffect(() => {
    if (planner || kind === null) return;
    viewStore.setState({ blame: blameOf({ kind, name }) });
    return () => viewStore.setState({ blame: null });
  }, [planner, kind, name]);
}

function Answer({ outcome: { label, before, now, settled, isTrial }, close }: { outcome: Outcome; close: () => void }) {
  return (
    <section className="answer" aria-label={isTrial ? "What it would change" : "What it changed"} data-testid="answer" data-settled={settled}>
      <header>
        <b>{label}</b>
        <span>{now.bottleneck ? `limited by ${resourceWords(now.bottleneck)}` : now.throughput === null ? "not all is placed" : ""}</span>
      </header>
      <ul className={settled ? "figure-chips" : "figure-chips is-dim"}>
        {figureRows(before, now).map((row) => (
          <FigureChip key={row.name} row={row} />
        ))}
      </ul>
      {!isTrial && (
        <ActionIcon variant="subtle" color="gray" size="sm" aria-label="Close the answer" onClick={close}>
          <IconX size={14} />
        </ActionIcon>
      )}
    </section>
  );
}
