/** The pairs of devices between which more or fewer bytes pass than before, old beside new. */
import { formatBytes, plural } from "@/app/format";
import type { PassingChange } from "@/plan/changes";

const SHOWN = 2;

export function CutChanges({ changes }: { changes: readonly PassingChange[] }) {
  if (changes.length === 0) return null;
  return (
    <ul className="figure-cuts" aria-label="Bytes between devices">
      {changes.slice(0, SHOWN).map((cut) => (
        <li key={`${cut.from} ${cut.to}`}>
          {cut.from} → {cut.to}: {formatBytes(Math.round(cut.old))} <span aria-hidden>→ </span><span className="visually-hidden">to </span><b>{formatBytes(Math.round(cut.now))}</b>
        </li>
      ))}
      {changes.length > SHOWN && <li>and {plural(changes.length - SHOWN, "other pair")}</li>}
    </ul>
  );
}
