/** Beside the pointer while layers are dragged: what letting go would do, or why it cannot be. */
import { IconAlertTriangle, IconBan } from "@tabler/icons-react";
import { useEffect } from "react";
import { figureRows, passingChanges } from "@/plan/changes";
import { CutChanges } from "./CutChanges";
import { FigureChip } from "./FigureChip";
import { follow } from "./ghost";
import { useHand } from "./hand";
import { useOutcome } from "./outcome";
import { useView } from "./view";

export function DragGhost() {
  const dragged = useHand((hand) => hand.dragged);
  const trial = useHand((hand) => hand.trial);
  const target = useView((view) => view.dropTarget);
  const refused = trial?.verdict.refused ?? null;
  const cannot = dragged !== null && refused !== null;
  useEffect(() => {
    document.body.classList.toggle("cannot-drop", cannot);
    return () => document.body.classList.remove("cannot-drop");
  }, [cannot]);
  if (dragged === null || dragged === "") return null;
  const where = target === null ? null : target === "" ? "no device" : target;
  const kind = refused !== null ? " is-refused" : where !== null ? " on-target" : "";
  return (
    <div ref={follow} className={`drag-ghost${kind}`} role="status" data-testid="drag-ghost" data-refused={refused !== null}>
      <p className="ghost-title">
        {refused !== null && <IconBan size={14} aria-hidden />}
        {where === null ? dragged : `${dragged} → ${where}`}
      </p>
      {refused !== null && <p>{refused}</p>}
      {where !== null && trial === null && <p>already there</p>}
      {trial !== null && refused === null && <TrialFigures warnings={trial.verdict.warnings} />}
    </div>
  );
}

/** What would change, short; energy and the most memory are told when it is done. */
export function TrialFigures({ warnings }: { warnings: readonly string[] }) {
  const outcome = useOutcome();
  const [warning] = warnings;
  if (!outcome?.isTrial) return null;
  const { before, now, settled } = outcome;
  const rows = figureRows(before, now).filter(({ name, now: value }) => name !== "energy" && value !== "–");
  return (
    <>
      <ul className={settled ? "figure-chips is-lines" : "figure-chips is-lines is-dim"}>
        {rows.map((row) => (
          <FigureChip key={row.name} row={row} />
        ))}
      </ul>
      <CutChanges changes={passingChanges(before, now)} />
      {warning !== undefined && (
        <p className="ghost-warning">
          <IconAlertTriangle size={13} aria-hidden /> {warning}
        </p>
      )}
    </>
  );
}
