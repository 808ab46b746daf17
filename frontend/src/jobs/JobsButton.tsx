/** How many long tasks go on, how far they are, and a way to end them. */
import { Button, Popover, RingProgress } from "@mantine/core";
import { IconAlertTriangle, IconCircleCheck } from "@tabler/icons-react";
import { useState } from "react";
import { isGoing } from "@/api/queries";
import type { Job } from "@/api/types";
import { plural } from "@/app/format";
import "@/styles/devices.css";
import { JobProgress } from "./JobProgress";
import { shareOf } from "./words";

const SHOWN_ENDED = 4;

function Sign({ going, newest }: { going: readonly Job[]; newest: Job | undefined }) {
  if (going.length > 0) {
    const share = going.reduce((sum, job) => sum + (shareOf(job) ?? 0), 0) / going.length;
    return <RingProgress size={18} thickness={3} aria-hidden sections={[{ value: Math.max(share * 100, 4), color: "var(--ps-accent)" }]} rootColor="var(--ps-line-strong)" />;
  }
  return newest?.state === "failed" ? <IconAlertTriangle size={15} className="is-bad-icon" aria-hidden /> : <IconCircleCheck size={15} aria-hidden />;
}

export function JobsButton({ jobs }: { jobs: readonly Job[] }) {
  const [open, setOpen] = useState(false);
  const going = jobs.filter(isGoing);
  const shown = [...going, ...jobs.filter((job) => !isGoing(job)).slice(0, SHOWN_ENDED)];
  const words = going.length > 0 ? `${plural(going.length, "task")} going on` : "Tasks";
  return (
    <Popover opened={open} onChange={setOpen} width={380} position="bottom-end" shadow="md" trapFocus returnFocus withinPortal>
      <Popover.Target>
        <Button size="compact-sm" variant="subtle" color="gray" leftSection={<Sign going={going} newest={jobs[0]} />} onClick={() => setOpen(!open)} aria-label={words} data-testid="jobs">
          {going.length > 0 ? plural(going.length, "task") : <span className="jobs-word">Tasks</span>}
        </Button>
      </Popover.Target>
      <Popover.Dropdown className="jobs" data-testid="jobs-list" aria-label="Tasks">
        <h2 tabIndex={-1} data-autofocus>
          Tasks
        </h2>
        <ul>
          {shown.map((job) => (
            <li key={job.id}>
              <JobProgress job={job} />
            </li>
          ))}
        </ul>
      </Popover.Dropdown>
    </Popover>
  );
}
