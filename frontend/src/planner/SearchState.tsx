/** How a search comes along: best value, bound and gap, time, and a way to stop it. */
import { Button, Progress } from "@mantine/core";
import { IconPlayerStop } from "@tabler/icons-react";
import { formatElapsed } from "@/app/format";
import { ProblemCard } from "@/app/ProblemCard";
import { shareOf } from "@/jobs/words";
import { useNow } from "@/live/store";
import { Obstacles } from "./Obstacles";
import type { Answer } from "./types";
import type { Searching } from "./useSearch";
import { formatValue, gapWords } from "./words";

/** What is said while nothing was found, and the words for what was. */
export function SearchState({ searching, found }: { searching: Searching; found: string | null }) {
  const { job, going, search, problem, stop } = searching;
  const now = useNow(going);
  if (job === null) return null;
  const elapsed = going ? Math.max(0, (now - Date.parse(job.started_at)) / 1000) : (search?.elapsed_s ?? null);
  const share = shareOf(job);
  const obstacles = search?.obstacles ?? [];
  return (
    <div className="search-state" data-testid="search-state" data-state={job.state}>
      {going && (
        <>
          <div className="job-head">
            <span className="job-step">{job.step || "Searching"}</span>
            <span className="job-time">{[found, elapsed === null ? null : formatElapsed(elapsed)].filter((part) => part !== null).join(" · ")}</span>
            <Button size="compact-xs" variant="default" leftSection={<IconPlayerStop size={12} />} onClick={stop} data-testid="search-stop">
              Stop
            </Button>
          </div>
          <Progress value={share === null ? 100 : share * 100} animated={share === null} striped={share === null} size="sm" aria-label="Search: progress" />
        </>
      )}
      {obstacles.length > 0 && <Obstacles obstacles={obstacles} />}
      {problem !== null && obstacles.length === 0 && <ProblemCard problem={problem} />}
      {!going && problem === null && (
        <p className="search-ended" role="status">
          {job.state === "cancelled" ? "Stopped after" : "Searched for"} {formatElapsed(elapsed ?? 0)}
          {found !== null && `: ${found}`}
        </p>
      )}
    </div>
  );
}

/** The best plan so far and how good any plan can be at most. */
export function Proof({ answer, going }: { answer: Answer; going: boolean }) {
  const { objective, value, bound, proved } = answer;
  const share = objective === "throughput" ? value / bound : bound / value;
  return (
    <div className="proof" data-testid="proof">
      <p>
        <b>{formatValue(objective, value)}</b>
        <span className={proved ? "is-proved" : ""} data-testid="gap">
          {gapWords(answer)}
        </span>
      </p>
      {!proved && Number.isFinite(share) && (
        <>
          <div className="meter-track" aria-hidden>
            <span style={{ width: `${Math.min(Math.max(share, 0), 1) * 100}%` }} />
          </div>
          <p className="proof-bound">
            {going ? "Best so far. " : ""}No plan {objective === "throughput" ? "exceeds" : "gets below"} {formatValue(objective, bound)}.
          </p>
        </>
      )}
    </div>
  );
}
