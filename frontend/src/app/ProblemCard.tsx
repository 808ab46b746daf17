/** An error in the studio's words: what happened, and what to do about it. */
import { IconAlertTriangle } from "@tabler/icons-react";
import type { ReactNode } from "react";
import type { Problem } from "@/api/client";
import type { ProblemOut } from "@/api/client";

interface ProblemCardProps {
  problem: Problem | ProblemOut;
  /** Buttons. */
  children?: ReactNode;
}

export function ProblemCard({ problem, children }: ProblemCardProps) {
  const next = "nextStep" in problem ? problem.nextStep : problem.next_step;
  return (
    <div className="problem" role="alert" data-testid="problem" data-code={problem.code}>
      <IconAlertTriangle size={16} aria-hidden />
      <div>
        <p className="problem-message">{problem.message}</p>
        <p className="problem-next">{next}</p>
        {children && <div className="problem-actions">{children}</div>}
      </div>
    </div>
  );
}
