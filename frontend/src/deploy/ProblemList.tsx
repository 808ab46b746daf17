/** Problems of a plan, each with the way to what it speaks of. */
import { IconAlertTriangle, IconCircleX } from "@tabler/icons-react";
import type { PlanProblem } from "@/api/types";

/** Of problems of one kind; a hundred unplaced layers need not be listed one by one. */
const SHOWN_PER_KIND = 2;

export function ProblemList({ problems, show }: { problems: readonly PlanProblem[]; show: (problem: PlanProblem) => void }) {
  const groups = [...Map.groupBy(problems, ({ code }) => code).values()];
  if (problems.length === 0) return null;
  return (
    <ul>
      {groups.flatMap((group) => group.slice(0, group.length > SHOWN_PER_KIND + 1 ? SHOWN_PER_KIND : undefined)).map((problem) => (
        <li key={`${problem.code} ${problem.layer ?? ""} ${problem.device ?? ""} ${problem.message}`} className={`is-${problem.severity}`}>
          {problem.severity === "error" ? <IconCircleX size={14} aria-label="Error" /> : <IconAlertTriangle size={14} aria-label="Warning" />}
          <span>
            {problem.message} {problem.next_step}
          </span>
          {(problem.layer != null || problem.device != null) && (
            <button type="button" className="link" aria-label={`show ${problem.layer ?? problem.device}`} onClick={() => show(problem)}>
              show
            </button>
          )}
        </li>
      ))}
      {groups
        .filter((group) => group.length > SHOWN_PER_KIND + 1)
        .map((group) => (
          <li key={group[0]?.code} className="is-more">
            and {group.length - SHOWN_PER_KIND} more like this
          </li>
        ))}
    </ul>
  );
}
