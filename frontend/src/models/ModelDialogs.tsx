/** Renaming and removing a network. */
import { Button, Group, TextInput } from "@mantine/core";
import { useState, type FormEvent } from "react";
import { asProblem, call, client, type Problem } from "@/api/client";
import { queryClient } from "@/api/queries";
import type { ModelSummary } from "@/api/types";
import { Dialog } from "@/app/Dialog";
import { plural } from "@/app/format";
import { ProblemCard } from "@/app/ProblemCard";
import { RemovalDialog } from "@/app/RemovalDialog";
import { editorPath, navigate } from "@/app/router";
import { modelsChanged } from "./doings";

export function RenameModel({ model, close }: { model: ModelSummary; close: () => void }) {
  const [name, setName] = useState(model.name);
  const [busy, setBusy] = useState(false);
  const [problem, setProblem] = useState<Problem | null>(null);
  const rename = (event: FormEvent) => {
    event.preventDefault();
    setBusy(true);
    call(client.PATCH("/api/models/{model_id}", { params: { path: { model_id: model.id } }, body: { name: name.trim() } })).then(
      () => {
        void queryClient.invalidateQueries({ queryKey: ["model", model.id] });
        void modelsChanged();
        close();
      },
      (error: unknown) => {
        setProblem(asProblem(error));
        setBusy(false);
      },
    );
  };
  return (
    <Dialog onClose={close} title="Rename the network" size="sm">
      <form onSubmit={rename}>
        <TextInput label="Name" value={name} maxLength={120} onChange={(event) => setName(event.currentTarget.value)} data-autofocus data-testid="model-name" />
        {problem && <ProblemCard problem={problem} />}
        <Group justify="flex-end" mt="md">
          <Button variant="default" onClick={close}>
            Cancel
          </Button>
          <Button type="submit" loading={busy} disabled={name.trim() === ""} data-testid="model-rename">
            Rename
          </Button>
        </Group>
      </form>
    </Dialog>
  );
}

function lossOf({ plan_count, run_count, example }: ModelSummary): string {
  const plans = plan_count === 0 ? "It has no saved plans." : `Its ${plural(plan_count, "saved plan")} ${plan_count === 1 ? "goes" : "go"} with it.`;
  const runs = run_count === 0 ? "" : ` The ${plural(run_count, "run")} of it ${run_count === 1 ? "stays" : "stay"} in the history.`;
  return `${plans}${runs} ${example === null ? "The ONNX file that you added it from stays where it is." : "It can be added again from the examples."}`;
}

export function RemoveModel({ model, close }: { model: ModelSummary; close: () => void }) {
  const remove = async () => {
    await call(client.DELETE("/api/models/{model_id}", { params: { path: { model_id: model.id } } }));
    void modelsChanged();
    close();
  };
  if (model.deployment_id !== null) {
    return (
      <Dialog onClose={close} title={<><bdi>{model.name}</bdi> is deployed</>} size="sm">
        <p className="dialog-text">It stands on its devices now. Stop that deployment first; then it can be removed.</p>
        <Group justify="flex-end" mt="md">
          <Button variant="default" onClick={close}>
            Keep
          </Button>
          <Button onClick={() => navigate(editorPath(model.id))} data-autofocus>
            Open it to stop it
          </Button>
        </Group>
      </Dialog>
    );
  }
  return <RemovalDialog title={<>Remove <bdi>{model.name}</bdi>?</>} loss={lossOf(model)} remove={remove} close={close} />;
}
