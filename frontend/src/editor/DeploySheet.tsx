/** How a deployment comes along: each device's step, bytes and time; what failed and what to do. */
import { ActionIcon, Button, Progress } from "@mantine/core";
import { IconCheck, IconX } from "@tabler/icons-react";
import type { Deployment, DeviceProgress } from "@/api/types";
import { formatBytes, formatElapsed } from "@/app/format";
import { ProblemCard } from "@/app/ProblemCard";
import { DeviceSign } from "@/devices/DeviceSign";
import { useMark } from "@/devices/marks";
import { useNow } from "@/live/store";

const STEPS = ["waiting", "connect", "check", "install", "push", "load", "verify", "start", "ready"] as const;

const STATE_TITLES: Record<Deployment["state"], string> = {
  deploying: "Deploying",
  running: "Deployed",
  stopping: "Stopping",
  stopped: "Stopped",
  failed: "Deploy failed",
  cancelled: "Deploy cancelled",
};

function doneShare(progress: DeviceProgress): number {
  const place = STEPS.findIndex((step) => step === progress.step);
  if (place < 0) return 0;
  const within = progress.total_bytes && progress.done_bytes ? Math.min(progress.done_bytes / progress.total_bytes, 1) : 0;
  return Math.min((place + within) / (STEPS.length - 1), 1);
}

function DeviceRow({ progress, ended }: { progress: DeviceProgress; ended: boolean }) {
  const mark = useMark(progress.device);
  const { step } = progress;
  const moving = !ended && step !== "ready" && step !== "failed" && step !== "waiting";
  const bytes = progress.total_bytes ? `${formatBytes(progress.done_bytes ?? 0)} of ${formatBytes(progress.total_bytes)}` : null;
  return (
    <li className={`sheet-device step-${step}${moving ? " is-moving" : ""}`}>
      <div className="sheet-row">
        <DeviceSign mark={mark} />
        <b>{progress.device}</b>
        <span className="sheet-step">
          {step === "ready" && <IconCheck size={13} aria-hidden />}
          <span data-testid={`deploy-step-${progress.device}`}>{step}</span>
        </span>
        <span className="sheet-time">{progress.elapsed_s ? formatElapsed(progress.elapsed_s) : ""}</span>
      </div>
      <div className="sheet-steps" aria-hidden>
        {STEPS.slice(1).map((name, i) => {
          const place = STEPS.findIndex((known) => known === step);
          const state = place > i + 1 || step === "ready" ? "done" : place === i + 1 && moving ? "now" : "";
          return <i key={name} className={state} title={name} />;
        })}
      </div>
      {(progress.detail !== "" || bytes !== null) && step !== "ready" && !progress.problem && (
        <p className="sheet-detail">
          {progress.detail}
          {bytes !== null && <span>{bytes}</span>}
        </p>
      )}
      {progress.problem && <ProblemCard problem={progress.problem} />}
    </li>
  );
}

interface DeploySheetProps {
  deployment: Deployment;
  close: () => void;
  cancel: () => void;
  retry: () => void;
  busy: boolean;
}

export function DeploySheet({ deployment, close, cancel, retry, busy }: DeploySheetProps) {
  const deploying = deployment.state === "deploying";
  const now = useNow(deploying);
  const { devices, problem } = deployment;
  const share = devices.length === 0 ? 0 : devices.reduce((sum, device) => sum + doneShare(device), 0) / devices.length;
  const elapsed = deployment.deploy_s ?? (deploying ? Math.max(0, (now - Date.parse(deployment.created_at)) / 1000) : null);
  const spoken = problem !== null && !devices.some((device) => device.problem?.message === problem.message);
  return (
    <section className={`sheet sheet-${deployment.state}`} data-testid="deploy-sheet" aria-label="Deployment">
      <header>
        <h2>{STATE_TITLES[deployment.state]}</h2>
        <span className="visually-hidden" data-testid="deploy-state">
          {deployment.state}
        </span>
        {elapsed !== null && <span className="sheet-time">{formatElapsed(elapsed)}</span>}
        <ActionIcon variant="subtle" color="gray" size="sm" onClick={close} aria-label="Close">
          <IconX size={15} />
        </ActionIcon>
      </header>
      {deploying && <Progress value={share * 100} size="xs" aria-label="Overall progress" />}
      <ul>
        {devices.map((progress) => (
          <DeviceRow key={progress.device} progress={progress} ended={!deploying} />
        ))}
      </ul>
      {deployment.plaintext && (
        <p className="sheet-warning" role="alert" data-testid="deploy-plaintext">
          The links of this deployment are not encrypted: for measuring only.
        </p>
      )}
      {deployment.notes.length > 0 && (
        <ul className="sheet-notes" aria-label="What to know of it" data-testid="deploy-notes">
          {deployment.notes.map((note) => (
            <li key={note}>{note}</li>
          ))}
        </ul>
      )}
      {problem !== null && spoken && <ProblemCard problem={problem} />}
      <footer>
        {deploying && (
          <Button variant="default" size="xs" onClick={cancel} loading={busy} data-testid="deploy-cancel">
            Cancel
          </Button>
        )}
        {(deployment.state === "failed" || deployment.state === "cancelled") && (
          <Button size="xs" onClick={retry} loading={busy} data-testid="deploy-retry">
            Try again
          </Button>
        )}
        {deployment.state === "running" && <p className="sheet-hint">The network stands on its devices. Press Run below.</p>}
      </footer>
    </section>
  );
}
