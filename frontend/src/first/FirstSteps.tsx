/** What an empty studio says: three steps, each done in place, and what is done already. */
import { Button, CloseButton } from "@mantine/core";
import { IconArrowRight, IconCheck, IconPlus, IconRocket } from "@tabler/icons-react";
import { lazy, Suspense, useRef, useState, type ReactNode } from "react";
import { formatMacs, plural } from "@/app/format";
import { Link } from "@/app/Header";
import { ProblemCard } from "@/app/ProblemCard";
import { insist } from "@/app/insist";
import { editorPath } from "@/app/router";
import { STATE_WORDS } from "@/devices/words";
import type { Upload } from "@/models/useUpload";
import { ENOUGH_DEVICES, nameThem, type StepState } from "./steps";
import type { FirstStepsState, StepName } from "./useFirstSteps";

const AddDevice = lazy(() => insist(() => import("@/devices/AddDevice")));

const STATE_LABEL: Record<StepState, string> = { done: "done", now: "next", later: "after that" };

interface FirstStepsProps {
  steps: FirstStepsState;
  upload: Upload;
}

export function FirstSteps({ steps, upload }: FirstStepsProps) {
  const [network, devices, deploy] = steps.states;
  return (
    <section className="first-steps" aria-labelledby="first-title" data-testid="first-steps">
      <header>
        <div>
          <h1 id="first-title">A network in pieces, each on its own device</h1>
          <p>Three presses, then Run: frames flow through your first pipeline.</p>
        </div>
        {steps.hide && <CloseButton size="sm" onClick={steps.hide} aria-label="Hide the first steps" title="Hide the first steps" />}
      </header>
      <ol>
        <Step number={1} name="network" state={network} title="A network" steps={steps}>
          <NetworkStep steps={steps} upload={upload} />
        </Step>
        <Step number={2} name="devices" state={devices} title="Devices" steps={steps}>
          <DevicesStep steps={steps} />
        </Step>
        <Step number={3} name="deploy" state={deploy} title="Place and deploy" steps={steps}>
          <DeployStep steps={steps} />
        </Step>
      </ol>
    </section>
  );
}

function Step({ number, name, state, title, steps, children }: { number: number; name: StepName; state: StepState; title: string; steps: FirstStepsState; children: ReactNode }) {
  const { problem } = steps;
  return (
    <li className={`first-step is-${state}`} data-testid={`step-${name}`} data-state={state} aria-current={state === "now" ? "step" : undefined}>
      <h2>
        <span className="step-number" aria-hidden>
          {state === "done" ? <IconCheck size={15} stroke={3} /> : number}
        </span>
        {title}
        <span className="visually-hidden">, {STATE_LABEL[state]}</span>
      </h2>
      {children}
      {problem?.step === name && <ProblemCard problem={problem.problem} />}
    </li>
  );
}

function NetworkStep({ steps: { model, busy, takeExample }, upload }: FirstStepsProps) {
  const file = useRef<HTMLInputElement>(null);
  if (model) {
    return (
      <p className="step-done">
        <b title={model.name}>{model.name}</b>
        <span>
          {plural(model.layer_count, "layer")}, {formatMacs(model.macs)} a frame
        </span>
      </p>
    );
  }
  return (
    <>
      <p>An example that reads handwritten digits, with images to try it on. Or drop an ONNX file of your own anywhere on this page.</p>
      <div className="step-doings">
        <Button size="xs" variant="filled" loading={busy === "network"} onClick={takeExample} data-testid="first-example">
          Use the example
        </Button>
        <Button size="xs" variant="default" disabled={busy !== null || upload.state.kind === "sending"} onClick={() => file.current?.click()} data-testid="first-file">
          Choose a file…
        </Button>
        <input
          ref={file}
          type="file"
          multiple
          hidden
          aria-label="ONNX file"
          onChange={(event) => {
            upload.send([...(event.currentTarget.files ?? [])]);
            event.currentTarget.value = "";
          }}
        />
      </div>
    </>
  );
}

function DevicesStep({ steps: { states, usable, all, busy, addLocal } }: { steps: FirstStepsState }) {
  const [adding, setAdding] = useState(false);
  const isDone = states[1] === "done";
  const missing = ENOUGH_DEVICES - usable.length;
  const out = all.filter(({ name }) => !usable.some((device) => device.name === name));
  return (
    <>
      {usable.length > 0 && (
        <p className="step-done">
          <b>{nameThem(usable.map(({ name }) => name))}</b>
          <span>{isDone ? (usable.every(({ state }) => state === "ready") ? "ready" : "can serve") : "ready; one more makes a pipeline"}</span>
        </p>
      )}
      {out.map((device) => (
        <p key={device.name} className="step-out">
          {device.name}: {STATE_WORDS[device.state]}. <Link to="/devices">See why</Link>
        </p>
      ))}
      {!isDone && usable.length === 0 && <p>{busy === "devices" ? "Starting them, and looking at what they can do…" : "Processes on this machine will do to try it: nothing to prepare. Boards are added by SSH."}</p>}
      <div className="step-doings">
        {!isDone && (
          <Button size="xs" px={10} variant={states[1] === "now" ? "filled" : "default"} loading={busy === "devices"} onClick={addLocal} data-testid="first-local">
            {missing >= 2 ? "Two processes here" : "A process here"}
          </Button>
        )}
        <Button size="xs" px={10} variant={isDone ? "subtle" : "default"} leftSection={<IconPlus size={14} />} disabled={busy === "devices"} onClick={() => setAdding(true)} data-testid="first-board">
          {isDone ? "Add another…" : "Add a board…"}
        </Button>
      </div>
      {adding && (
        <Suspense>
          <AddDevice taken={all.map(({ name }) => name)} close={() => setAdding(false)} />
        </Suspense>
      )}
    </>
  );
}

function DeployStep({ steps: { states, model, usable, busy, deploy } }: { steps: FirstStepsState }) {
  const ready = states[2] === "now";
  return (
    <>
      <p>{ready ? "The layers are spread evenly, so that each device computes its part. Every piece can be moved by hand afterwards." : "Spread the layers over the devices, and bring them up."}</p>
      <div className="step-doings">
        <Button size="xs" variant={ready ? "filled" : "default"} disabled={!ready} loading={busy === "deploy"} leftSection={<IconRocket size={15} />} onClick={deploy} data-testid="first-deploy">
          {ready ? `Deploy on ${plural(usable.length, "device")}` : "Deploy"}
        </Button>
        {model && (
          <span className="step-link">
            <Link to={editorPath(model.id)}>
              or place it by hand <IconArrowRight size={13} aria-hidden />
            </Link>
          </span>
        )}
      </div>
    </>
  );
}
