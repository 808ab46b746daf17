/** That something is said of a layer, and what: a round mark for an error, a pointed one for a warning. */
import { formatWhole } from "@/app/format";
import "@/styles/marks.css";
import { summaryOf, tellSummary, type Summary } from "./troubles";
import { useView } from "./view";

/** What is said of these layers: what was refused just now, or else what the report has. Compared by its words, so that cards are drawn anew only when they change. */
export function useSummary(layers: readonly string[]): Summary | null {
  const refused = useView((view) => (view.refused !== null && layers.includes(view.refused.layer) ? view.refused.message : null));
  const spelled = useView((view) => {
    const summary = summaryOf(view.troubles, layers);
    return summary && JSON.stringify(summary);
  });
  if (refused !== null) return { worst: { severity: "error", message: refused, nextStep: null }, layers: 1 };
  return spelled === null ? null : (JSON.parse(spelled) as Summary);
}

export function TroubleMark({ summary: { worst, layers } }: { summary: Summary }) {
  return (
    <i className={`trouble-mark is-${worst.severity}`} data-testid="trouble">
      <b>!</b>
      {layers > 1 && <span>{formatWhole(layers)}</span>}
    </i>
  );
}

/** The words, below the card while the pointer or the cursor is on it. */
export function TroubleWords({ summary }: { summary: Summary }) {
  return (
    <p className={`trouble-words is-${summary.worst.severity}`} data-testid="trouble-words">
      {tellSummary(summary)}
      {summary.worst.nextStep !== null && <span>{summary.worst.nextStep}</span>}
    </p>
  );
}
