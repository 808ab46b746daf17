/** How far a device is on its way, and the next step as a button. */
import { IconAlertTriangle, IconCheck, IconCircle } from "@tabler/icons-react";
import type { Milestone, PathStep } from "./path";

interface DevicePathProps {
  name: string;
  path: readonly Milestone[];
  /** What takes time already. */
  busy: boolean;
  act: (step: PathStep) => void;
}

const ICONS = { done: IconCheck, wrong: IconAlertTriangle, next: IconCircle, later: IconCircle };

export function DevicePath({ name, path, busy, act }: DevicePathProps) {
  return (
    <ol className="device-path" aria-label={`How far ${name} is`} data-testid={`path-${name}`}>
      {path.map(({ step, title, state, note }) => {
        const Icon = ICONS[state];
        return (
          <li key={step} className={`path-${state}`} data-step={step} data-state={state} aria-current={state === "next" ? "step" : undefined}>
            <Icon size={14} stroke={state === "done" ? 3 : 2} aria-hidden />
            {state === "next" ? (
              <button type="button" className="link" disabled={busy} onClick={() => act(step)} data-testid={`next-${name}`}>
                {title}
              </button>
            ) : (
              <span>{title}</span>
            )}
            {note !== "" && (state === "next" || state === "done" || state === "wrong") && <small>{note}</small>}
          </li>
        );
      })}
    </ol>
  );
}
