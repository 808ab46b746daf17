/** The calibration wizard: runs the device at some levels; the watts come from its meter, or from the person. */
import { Button, NumberInput, SegmentedControl } from "@mantine/core";
import { useState } from "react";
import { call, client } from "@/api/client";
import { isGoing } from "@/api/queries";
import type { Device, Job } from "@/api/types";
import { ProblemCard } from "@/app/ProblemCard";
import { JobProgress } from "@/jobs/JobProgress";
import { cancelJob, useJobs, useTask } from "@/jobs/useJobs";
import { jobOf } from "@/jobs/words";
import { holdWords, LEVELS, levelWords, typedWatts, type Typed } from "./calibration";
import { CalibrationChart } from "./CalibrationChart";

const LEVEL_LIST = [...LEVELS];

export function Calibration({ device }: { device: Device }) {
  const { name, power } = device;
  const [by, setBy] = useState("meter");
  const [seconds, setSeconds] = useState(20);
  const task = useTask();
  const going = jobOf(useJobs(), name);
  const locked = task.going || going !== null;
  const measure = () => task.start(call(client.POST("/api/devices/{name}/calibration", { params: { path: { name } }, body: { levels: LEVEL_LIST, seconds, hold_level: null, typed_w: null } })));
  return (
    <div className="device-form">
      <p className="dialog-text">A board without a sensor gets a model: idle watts, busy watts, and a line between them over how busy its cores are. Here the device is run at five levels to find it.</p>
      <SegmentedControl
        fullWidth
        value={by}
        onChange={setBy}
        disabled={locked}
        aria-label="Where the watts come from"
        data={[
          { value: "meter", label: "By its meter or sensor" },
          { value: "hand", label: "I read a meter and type" },
        ]}
      />
      <NumberInput label="Seconds at each level" min={2} max={120} value={seconds} onChange={(value) => setSeconds(typeof value === "number" ? value : 20)} disabled={locked} w={180} data-testid="calibration-seconds" />
      {by === "meter" ? (
        <>
          {going && <JobProgress job={going} />}
          {!going && task.job && (task.job.state !== "done" || task.job.warnings.length > 0) && <JobProgress job={task.job} />}
          {task.problem !== null && task.job?.state !== "failed" && <ProblemCard problem={task.problem} />}
          <footer className="dialog-foot">
            <Button onClick={measure} disabled={locked} loading={task.going && going === null} data-testid="calibrate">
              Calibrate
            </Button>
          </footer>
        </>
      ) : (
        <ByHand name={name} seconds={seconds} />
      )}
      {power.model && power.model.source === "calibrated" && !locked && <CalibrationChart model={power.model} />}
    </div>
  );
}

/** Level by level: keep the device there, count down, take the person's figure. */
function ByHand({ name, seconds }: { name: string; seconds: number }) {
  const hold = useTask();
  const fit = useTask();
  const jobs = useJobs();
  const [held, setHeld] = useState<number | null>(null);
  // The job of the last hold at each level: what was seen there is told beside it, also while the next is held.
  const [holds, setHolds] = useState<Readonly<Record<string, string>>>({});
  const [typed, setTyped] = useState<Typed>({});
  const watts = typedWatts(LEVEL_LIST, typed);
  const post = (hold_level: number | null, typed_w: Record<string, number> | null) =>
    call(client.POST("/api/devices/{name}/calibration", { params: { path: { name } }, body: { levels: LEVEL_LIST, seconds, hold_level, typed_w } }));
  const holdAt = (level: number) => {
    setHeld(level);
    const asked = post(level, null);
    asked.then(({ id }) => setHolds((known) => ({ ...known, [String(level)]: id })), () => undefined);
    hold.start(asked);
  };
  const holdOf = (level: number) => jobs.find(({ id }) => id === holds[String(level)]) ?? null;
  const notHeld = LEVEL_LIST.filter((level) => holdOf(level)?.state !== "done");
  const finish = () => {
    if (watts !== null) fit.start(post(null, watts));
  };
  const problem = fit.problem ?? hold.problem;
  return (
    <>
      <ol className="levels" aria-label="Levels">
        {LEVEL_LIST.map((level) => (
          <Level
            key={level}
            level={level}
            job={holdOf(level)}
            starting={held === level && hold.going}
            watts={typed[String(level)] ?? null}
            type={(value) => setTyped({ ...typed, [String(level)]: value })}
            start={() => holdAt(level)}
            locked={hold.going || fit.going}
          />
        ))}
      </ol>
      {problem !== null && <ProblemCard problem={problem} />}
      <footer className="dialog-foot">
        <span className="hint">{watts === null ? "Type what your meter shows at every level, while the device is held there." : notHeld.length > 0 ? `Not held here: ${notHeld.map(levelWords).join(", ")}. Without a hold the device is assumed to be as busy as the level says.` : "All levels are there."}</span>
        <Button onClick={finish} disabled={watts === null || hold.going} loading={fit.going} data-testid="calibration-finish">
          Find the line
        </Button>
      </footer>
    </>
  );
}

interface LevelProps {
  level: number;
  /** The last hold at this level. */
  job: Job | null;
  starting: boolean;
  watts: number | null;
  type: (watts: number | null) => void;
  start: () => void;
  locked: boolean;
}

function Level({ level, job, starting, watts, type, start, locked }: LevelProps) {
  const going = job !== null && isGoing(job);
  return (
    <li className={going ? "level is-held" : "level"} data-testid={`level-${Math.round(level * 100)}`} data-held={going}>
      <b>{levelWords(level)}</b>
      <span className="level-state" role={job ? "status" : undefined}>
        {holdWords(job, watts !== null)}
        {job?.warnings.map((warning) => (
          <small key={warning} className="is-short">
            {warning}
          </small>
        ))}
      </span>
      {going ? (
        <Button size="compact-xs" variant="default" onClick={() => void cancelJob(job.id)}>
          Let go
        </Button>
      ) : (
        <Button size="compact-xs" variant="default" onClick={start} disabled={locked} loading={starting} data-testid={`hold-${Math.round(level * 100)}`}>
          {level === 0 ? "Keep it idle" : `Hold at ${levelWords(level)}`}
        </Button>
      )}
      <NumberInput size="xs" min={0} value={watts ?? ""} onChange={(value) => type(typeof value === "number" ? value : null)} placeholder="watts" aria-label={`Watts at ${levelWords(level)}`} w={96} hideControls suffix=" W" data-testid={`typed-${Math.round(level * 100)}`} />
    </li>
  );
}
