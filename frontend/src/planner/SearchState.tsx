/** How a search comes along: best value, bound and gap, time, and a way to stop it. */
import { Button, Progress } from "@mantine/core";
import { IconPlayerStop } from "@tabler/icons-react";
import type { Job } from "@/api/types";
import { formatElapsed } from "@/app/format";
import { ProblemCard } from "@/app/ProblemCard";
import { shareOf } from "@/jobs/words";
import { useNow } from "@/live/store";
import { Obstacles } from "./Obstacles";
import type { Sample } from "./trace";
import { TraceChart } from "./TraceChart";
import type { Answer, Search } from "./types";
import type { Searching } from "./useSearch";
import { boundWords, contiguousWords, formatValue, gapWords, isBounded } from "./words";

/** How long a search takes until now, by the clock that it began on; of one that ended, how long it took. */
export function useElapsed(job: Job | null, going: boolean, search: Search | null): number | null {
  const now = useNow(going);
  if (job === null) return null;
  return going ? Math.max(0, (now - Date.parse(job.started_at)) / 1000) : (search?.elapsed_s ?? null);
}

/** What is said while nothing was found, and the words for what was. */
export function SearchState({ searching, found }: { searching: Searching; found: string | null }) {
  const { job, going, search, problem, stop } = searching;
  const elapsed = useElapsed(job, going, search);
  if (job === null) return null;
  const share = shareOf(job);
  const obstacles = search?.obstacles ?? [];
  return (
    <div className="search-state" data-testid="search-state" data-state={job.state}>
      {going && (
        <>
          <div className="job-head">
            <span className="job-step">{search?.answer ? "Searching for better ones" : job.step || "Searching"}</span>
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

interface ProofProps {
  answer: Answer;
  going: boolean;
  samples: readonly Sample[];
  /** Since the search began; until its end. */
  elapsed_s: number;
}

/** Of one that ended at once there is nothing to draw. */
const WORTH_DRAWING = 3;

/** The best plan so far and how good any plan can be at most: of all that were searched, and with one run of layers per device. */
export function Proof({ answer, going, samples, elapsed_s }: ProofProps) {
  const { objective, value, bound, proved } = answer;
  const share = objective === "throughput" ? value / bound : bound / value;
  const told = [boundWords(answer), contiguousWords(answer)] as const;
  return (
    <div className="proof" data-testid="proof">
      <p role="status">
        <b data-testid="value">{formatValue(objective, value)}</b>
        <span className={proved ? "is-proved" : ""} data-testid="gap">
          {gapWords(answer)}
        </span>
      </p>
      {!proved && isBounded(answer) && (
        <div className="meter-track" aria-hidden>
          <span style={{ width: `${Math.min(Math.max(share, 0), 1) * 100}%` }} />
        </div>
      )}
      {told[0] !== null && (
        <p className="proof-bound" data-testid="bound">
          {going ? "Best so far. " : ""}
          {told[0]}
        </p>
      )}
      {told[1] !== null && (
        <p className="proof-bound" data-testid="contiguous-bound">
          {told[1]}
        </p>
      )}
      {(going ? samples.length > 0 : samples.length >= WORTH_DRAWING) && <TraceChart samples={samples} objective={objective} elapsed_s={elapsed_s} />}
    </div>
  );
}
