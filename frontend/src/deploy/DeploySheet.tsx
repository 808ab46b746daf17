/** How a deployment comes along, below the network: each device's steps with bytes and time; what failed, what to do, and another try. */
import { ActionIcon, Button, Progress } from "@mantine/core";
import { useQuery } from "@tanstack/react-query";
import { IconCheck, IconLoader2, IconMinus, IconX } from "@tabler/icons-react";
import { deploymentsQuery } from "@/api/queries";
import type { Deployment, DeviceProgress } from "@/api/types";
import { formatBytes, formatElapsed, formatRate, plural } from "@/app/format";
import { ProblemCard } from "@/app/ProblemCard";
import { DeviceSign } from "@/devices/DeviceSign";
import { useMark } from "@/devices/marks";
import { useNow } from "@/live/store";
import "@/styles/deploy.css";
import { bytesShare, overallShare, overallWords, rateOf, STEP_STATES, STEP_TITLES, STEP_WHAT, stepsOf, type StepView } from "./steps";

const STATE_TITLES: Record<Deployment["state"], string> = {
  deploying: "Deploying",
  running: "Deployed",
  stopping: "Stopping",
  stopped: "Stopped",
  failed: "Deploy failed",
  cancelled: "Deploy cancelled",
};

function StepIcon({ state }: Pick<StepView, "state">) {
  if (state === "done") return <IconCheck size={12} stroke={2.6} aria-hidden />;
  if (state === "failed") return <IconX size={12} stroke={2.6} aria-hidden />;
  if (state === "now") return <IconLoader2 size={12} stroke={2.6} className="is-turning" aria-hidden />;
  return state === "skipped" || state === "stopped" ? <IconMinus size={12} aria-hidden /> : <i className="step-dot" aria-hidden />;
}

/** `sinceS`: how long ago the figures came. */
function StepCell({ view, sinceS }: { view: StepView; sinceS: number }) {
  const { step, state, elapsedS } = view;
  const share = bytesShare(view);
  const shown = elapsedS === null || state === "skipped" ? null : elapsedS + (state === "now" ? sinceS : 0);
  return (
    <li className={`deploy-step is-${state}`} title={STEP_WHAT[step]} data-step={step} data-state={state}>
      <StepIcon state={state} />
      <b>{STEP_TITLES[step]}</b>
      <span className="visually-hidden">{STEP_STATES[state]}</span>
      <small>{shown === null ? "" : shown < 0.095 ? "<0.1\u202fs" : formatElapsed(shown)}</small>
      <span className="deploy-track" aria-hidden>
        <span style={{ width: state === "done" ? "100%" : state === "now" ? `${(share ?? 0.3) * 100}%` : state === "failed" ? "100%" : 0 }} />
      </span>
    </li>
  );
}

function bytesWords(view: StepView | undefined): string | null {
  if (!view || view.totalBytes === null || view.doneBytes === null) return null;
  const rate = rateOf(view);
  return [`${formatBytes(view.doneBytes)} of ${formatBytes(view.totalBytes)}`, ...(rate === null ? [] : [formatRate(rate)])].join(" · ");
}

interface DeviceRowProps {
  progress: DeviceProgress;
  ended: boolean;
  /** Whether it stood: then no step failed. */
  ran: boolean;
  sinceS: number;
  /** Null where it cannot be tried again now. */
  retry: (() => void) | null;
  busy: boolean;
  showLog: () => void;
}

function DeviceRow({ progress, ended, ran, sinceS, retry, busy, showLog }: DeviceRowProps) {
  const mark = useMark(progress.device);
  const { step, device, problem, detail } = progress;
  const views = stepsOf(ran ? { ...progress, step: "ready" } : progress, ended);
  const told = bytesWords(views.find(({ state }) => state === "now"));
  return (
    <li className={`deploy-device step-${step}`} data-testid={`deploy-device-${device}`}>
      <div className="deploy-name">
        <DeviceSign mark={mark} />
        <b title={device}>{device}</b>
        <span className="deploy-time">{progress.elapsed_s > 0 && !ran ? formatElapsed(progress.elapsed_s) : ""}</span>
      </div>
      <ol className="deploy-steps" aria-label={`Steps of ${device}`}>
        {views.map((view) => (
          <StepCell key={view.step} view={view} sinceS={sinceS} />
        ))}
      </ol>
      {!problem && (
        <p className="deploy-detail">
          <span className="visually-hidden" data-testid={`deploy-step-${device}`}>
            {step}
          </span>
          <span>{step === "ready" ? "" : detail}</span>
          {told !== null && <span className="deploy-bytes">{told}</span>}
        </p>
      )}
      {problem && (
        <div className="deploy-trouble">
          <span className="visually-hidden" data-testid={`deploy-step-${device}`}>
            {step}
          </span>
          <ProblemCard problem={problem}>
            {retry && (
              <Button size="compact-xs" onClick={retry} loading={busy} data-testid={`deploy-retry-${device}`}>
                Try again<span className="visually-hidden">: {device}</span>
              </Button>
            )}
            <Button size="compact-xs" variant="default" onClick={showLog} aria-label={`Agent log of ${device}`}>
              Agent log
            </Button>
          </ProblemCard>
        </div>
      )}
    </li>
  );
}

interface DeploySheetProps {
  deployment: Deployment;
  close: () => void;
  cancel: () => void;
  retry: (device: string | null) => void;
  busy: boolean;
  showLog: (device: string) => void;
}

export default function DeploySheet({ deployment, close, cancel, retry, busy, showLog }: DeploySheetProps) {
  const { state, devices, problem, run } = deployment;
  const deploying = state === "deploying";
  const now = useNow(deploying);
  const { dataUpdatedAt } = useQuery({ ...deploymentsQuery, notifyOnChangeProps: ["dataUpdatedAt"] });
  const sinceS = deploying ? Math.max(0, (now - dataUpdatedAt) / 1000) : 0;
  const elapsed = deployment.deploy_s ?? (deploying ? Math.max(0, (now - Date.parse(deployment.created_at)) / 1000) : null);
  const failed = devices.filter(({ step }) => step === "failed");
  const over = state === "failed" || state === "cancelled";
  const spoken = problem !== null && !devices.some((device) => device.problem?.message === problem.message);
  const waits = deploying && deployment.retry_until !== null;
  const ran = deployment.deploy_s !== null;
  return (
    <section className={`deploy-sheet is-${state}`} data-testid="deploy-sheet" aria-label="Deployment">
      <header>
        <h2>{state === "failed" && ran ? "Failed while it ran" : STATE_TITLES[state]}</h2>
        <span className="visually-hidden" data-testid="deploy-state">
          {state}
        </span>
        <span className="visually-hidden" role="status">
          {overallWords(deployment)}
        </span>
        {elapsed !== null && <span className="deploy-time">{formatElapsed(elapsed)}</span>}
        {deploying ? <Progress value={overallShare(deployment) * 100} size="sm" aria-label="Overall progress" /> : <span className="header-space" />}
        {waits && <span className="deploy-waits">{failed.length === 1 ? "One device failed" : `${plural(failed.length, "device")} failed`}; the others are kept.</span>}
        {over && run && <span className="deploy-waits">{`Its run: ${run.delivered} delivered, ${run.lost} lost.`}</span>}
        {((waits && failed.length > 1) || over) && (
          <Button size="compact-xs" onClick={() => retry(null)} loading={busy} data-testid="deploy-retry">
            {over ? "Deploy again" : "Try all again"}
          </Button>
        )}
        {deploying && (
          <Button variant="default" size="compact-xs" onClick={cancel} loading={busy} data-testid="deploy-cancel">
            Cancel
          </Button>
        )}
        <ActionIcon variant="subtle" color="gray" size="sm" onClick={close} aria-label="Close the deployment's steps" title={deploying ? "Close; it goes on" : "Close"}>
          <IconX size={15} />
        </ActionIcon>
      </header>
      <div className="deploy-body">
        {problem !== null && spoken && state !== "cancelled" && <ProblemCard problem={problem} />}
        <ul className="deploy-devices">
          {devices.map((progress) => (
            <DeviceRow
              key={progress.device}
              progress={progress}
              ended={!deploying}
              ran={ran}
              sinceS={sinceS}
              busy={busy}
              retry={waits || over ? () => retry(progress.device) : null}
              showLog={() => showLog(progress.device)}
            />
          ))}
        </ul>
        {deployment.plaintext && (
          <p className="deploy-warning" role="alert" data-testid="deploy-plaintext">
            The links of this deployment are not encrypted: for measuring only.
          </p>
        )}
        {deployment.notes.length > 0 && (
          <ul className="deploy-notes" aria-label="What to know of it" data-testid="deploy-notes">
            {deployment.notes.map((note) => (
              <li key={note}>{note}</li>
            ))}
          </ul>
        )}
      </div>
    </section>
  );
}
