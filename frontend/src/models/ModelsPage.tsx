/** The networks that the studio holds; drop a file, or take an example. */
import { ActionIcon, Button, Loader, Group, Progress } from "@mantine/core";
import { useQuery, type UseQueryResult } from "@tanstack/react-query";
import { IconArrowRight, IconCpu2, IconFileUpload, IconPlus, IconTrash } from "@tabler/icons-react";
import { useEffect, useState } from "react";
import { asProblem, call, client, type Problem } from "@/api/client";
import { devicesQuery, examplesQuery, modelsQuery, queryClient } from "@/api/queries";
import type { Example, ModelSummary } from "@/api/types";
import { Dialog } from "@/app/Dialog";
import { formatBytes, formatCount, formatMacs, formatPercent, formatShape, plural } from "@/app/format";
import { Header, Link } from "@/app/Header";
import { ProblemCard } from "@/app/ProblemCard";
import { navigate } from "@/app/router";
import { describeDims, FormSwitch } from "./FormSwitch";
import { FreeDimension } from "./FreeDimension";
import { useUpload, type Upload } from "./useUpload";

export function ModelsPage() {
  const models = useQuery(modelsQuery);
  const examples = useQuery(examplesQuery);
  const devices = useQuery(devicesQuery);
  const upload = useUpload();
  const [removing, setRemoving] = useState<ModelSummary | null>(null);
  const over = useFileDrop(upload.send);
  const empty = models.data?.length === 0;
  return (
    <>
      <Header />
      <main className="page">
        {empty && <ThreeSteps devices={devices.data?.length ?? 0} />}
        <section>
          <div className="page-head">
            <h1>Models</h1>
            <p>{models.data && models.data.length > 0 ? plural(models.data.length, "network") : ""}</p>
          </div>
          <UploadArea upload={upload} over={over} />
          <List query={models} />
          {models.data && models.data.length > 0 && (
            <ul className="model-list">
              {models.data.map((model) => (
                <ModelCard key={model.id} model={model} remove={() => setRemoving(model)} />
              ))}
            </ul>
          )}
        </section>
        <section>
          <div className="page-head">
            <h2>Examples</h2>
            <p>Made here on request, no download</p>
          </div>
          <List query={examples} />
          <ul className="example-list">{examples.data?.map((example) => <ExampleCard key={example.id} example={example} />)}</ul>
        </section>
      </main>
      {removing && <RemoveModel model={removing} close={() => setRemoving(null)} />}
    </>
  );
}

function List({ query }: { query: UseQueryResult }) {
  if (query.error) {
    return (
      <ProblemCard problem={asProblem(query.error)}>
        <Button size="xs" variant="default" onClick={() => void query.refetch()}>
          Try again
        </Button>
      </ProblemCard>
    );
  }
  return query.isPending ? <Loader size="sm" /> : null;
}

function ThreeSteps({ devices }: { devices: number }) {
  const steps = [
    ["Add a model", "Drop an ONNX file below, or take an example.", null],
    ["Add devices", devices > 0 ? `${plural(devices, "device")} registered.` : "Boards over SSH, or processes on this machine.", "/devices"],
    ["Drag and deploy", "Drag layers onto devices, press Deploy, then Run.", null],
  ] as const;
  return (
    <section className="steps" aria-label="How it goes">
      <h1>A network in pieces, each on its own device</h1>
      <ol>
        {steps.map(([title, text, to], i) => (
          <li key={title} className={i === 1 && devices > 0 ? "is-done" : ""}>
            <span className="step-number">{i + 1}</span>
            <div>
              <h2>{to === null ? title : <Link to={to}>{title}</Link>}</h2>
              <p>{text}</p>
            </div>
          </li>
        ))}
      </ol>
    </section>
  );
}

/** Files dropped anywhere on the page; returns whether some are over it. */
function useFileDrop(take: (files: readonly File[]) => void): boolean {
  const [over, setOver] = useState(false);
  useEffect(() => {
    const drag = (event: DragEvent) => {
      if (!event.dataTransfer?.types.includes("Files")) return;
      event.preventDefault();
      setOver(true);
    };
    const leave = (event: DragEvent) => {
      if (event.relatedTarget === null) setOver(false);
    };
    const drop = (event: DragEvent) => {
      if (!event.dataTransfer || event.dataTransfer.files.length === 0) return;
      event.preventDefault();
      setOver(false);
      take([...event.dataTransfer.files]);
    };
    window.addEventListener("dragover", drag);
    window.addEventListener("dragleave", leave);
    window.addEventListener("drop", drop);
    return () => {
      window.removeEventListener("dragover", drag);
      window.removeEventListener("dragleave", leave);
      window.removeEventListener("drop", drop);
    };
  }, [take]);
  return over;
}

function UploadArea({ upload, over }: { upload: Upload; over: boolean }) {
  const { state } = upload;
  return (
    <div className={over ? "upload is-over" : "upload"}>
      {state.kind === "sending" ? (
        <div className="upload-progress" role="status">
          <p>
            <b>{state.name}</b> {state.share < 1 ? `sending, ${formatPercent(state.share)}` : "reading the network…"}
          </p>
          <Progress value={state.share * 100} size="sm" animated={state.share >= 1} aria-label="Upload" />
          <Button size="compact-xs" variant="default" onClick={upload.cancel}>
            Cancel
          </Button>
        </div>
      ) : (
        <label className="upload-label">
          <IconFileUpload size={22} stroke={1.5} aria-hidden />
          <span>
            <b>Drop an ONNX file here</b> or choose one. Files with its external data may come along.
          </span>
          <span className="upload-button">Choose file</span>
          <input
            type="file"
            multiple
            className="visually-hidden"
            data-testid="upload-input"
            onChange={(event) => {
              upload.send([...(event.currentTarget.files ?? [])]);
              event.currentTarget.value = "";
            }}
          />
        </label>
      )}
      {state.kind === "failed" && (
        <ProblemCard problem={state.problem}>
          {state.free && <FreeDimension key={state.free.symbol} symbol={state.free.symbol} send={state.free.send} />}
          <Button size="compact-xs" variant="default" onClick={upload.reset}>
            Close
          </Button>
        </ProblemCard>
      )}
    </div>
  );
}

function ModelCard({ model, remove }: { model: ModelSummary; remove: () => void }) {
  const [input] = model.inputs;
  const path = `/m/${encodeURIComponent(model.id)}`;
  return (
    <li className="model-card" data-testid={`model-card-${model.id}`}>
      <div className="model-head">
        <h2>
          <Link to={path}>{model.name}</Link>
        </h2>
        {!model.trained && (
          <span className="tag" title="Its weights are random: good for speed and memory, not for answers">
            random weights
          </span>
        )}
        <ActionIcon variant="subtle" color="gray" size="sm" className="model-remove" onClick={remove} aria-label={`Remove ${model.name}`}>
          <IconTrash size={15} />
        </ActionIcon>
      </div>
      <dl>
        <div>
          <dt>Layers</dt>
          <dd>{model.layer_count}</dd>
        </div>
        <div>
          <dt>Work</dt>
          <dd>{formatMacs(model.macs)}</dd>
        </div>
        <div>
          <dt>Parameters</dt>
          <dd>{formatCount(model.parameters)}</dd>
        </div>
        <div>
          <dt>Weights</dt>
          <dd>{formatBytes(model.weight_bytes)}</dd>
        </div>
        <div>
          <dt>Input</dt>
          <dd title={describeDims(model.dims) || undefined}>{input ? formatShape(input.shape) : "none"}</dd>
        </div>
      </dl>
      {(model.simplified || model.simplifiable) && (
        <div className="model-form">
          <FormSwitch model={model} />
          <p>{model.simplification}</p>
        </div>
      )}
    </li>
  );
}

function ExampleCard({ example }: { example: Example }) {
  const [busy, setBusy] = useState(false);
  const [problem, setProblem] = useState<Problem | null>(null);
  const add = () => {
    if (example.model_id !== null) {
      navigate(`/m/${encodeURIComponent(example.model_id)}`);
      return;
    }
    setBusy(true);
    setProblem(null);
    call(client.POST("/api/examples/{example_id}", { params: { path: { example_id: example.id } } })).then(
      (model) => {
        void queryClient.invalidateQueries({ queryKey: ["models"] });
        void queryClient.invalidateQueries({ queryKey: ["examples"] });
        navigate(`/m/${encodeURIComponent(model.id)}`);
      },
      (error: unknown) => {
        setProblem(asProblem(error));
        setBusy(false);
      },
    );
  };
  const added = example.model_id !== null;
  return (
    <li className="example-card">
      <div>
        <h3>{example.title}</h3>
        <p>{example.description}</p>
        <p className="example-facts">
          <IconCpu2 size={13} aria-hidden /> {formatBytes(example.size_bytes)} · {example.trained ? "trained" : "random weights"}
        </p>
        {problem && <ProblemCard problem={problem} />}
      </div>
      <Button size="compact-sm" variant={added ? "default" : "light"} loading={busy} rightSection={added ? <IconArrowRight size={13} /> : <IconPlus size={13} />} onClick={add} data-testid={`example-${example.id}`} aria-label={`${added ? "Open" : "Add"} ${example.title}`}>
        {added ? "Open" : "Add"}
      </Button>
    </li>
  );
}

function RemoveModel({ model, close }: { model: ModelSummary; close: () => void }) {
  const [busy, setBusy] = useState(false);
  const [problem, setProblem] = useState<Problem | null>(null);
  const remove = () => {
    setBusy(true);
    call(client.DELETE("/api/models/{model_id}", { params: { path: { model_id: model.id } } })).then(
      () => {
        void queryClient.invalidateQueries({ queryKey: ["models"] });
        void queryClient.invalidateQueries({ queryKey: ["examples"] });
        close();
      },
      (error: unknown) => {
        setProblem(asProblem(error));
        setBusy(false);
      },
    );
  };
  return (
    <Dialog onClose={close} title={`Remove ${model.name}?`} size="sm">
      <p className="dialog-text">Its saved plans go with it. The ONNX file that you added it from stays where it is.</p>
      {problem && <ProblemCard problem={problem} />}
      <Group justify="flex-end" mt="md">
        <Button variant="default" onClick={close}>
          Keep
        </Button>
        <Button color="red" loading={busy} onClick={remove} data-testid="confirm-remove">
          Remove
        </Button>
      </Group>
    </Dialog>
  );
}
