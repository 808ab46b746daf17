/** Beside the pointer: what the new place of a front would mean. */
import { createPortal } from "react-dom";
import { TrialFigures } from "./DragGhost";
import { follow } from "./ghost";
import { useHand } from "./hand";

export function BoundaryGhost({ what }: { what: string }) {
  const trial = useHand((hand) => hand.trial);
  const refused = trial?.verdict.refused ?? null;
  return createPortal(
    <div ref={follow} className={refused !== null ? "drag-ghost is-refused" : "drag-ghost on-target"} role="status" data-testid="boundary-ghost">
      <p className="ghost-title">{what}</p>
      {trial && <p>{trial.delta.label}</p>}
      {refused !== null ? <p>{refused}</p> : trial && <TrialFigures warnings={trial.verdict.warnings} />}
    </div>,
    document.body,
  );
}
