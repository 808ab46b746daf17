/** What stands between the plan under the hand and the studio, and what can be done about it: one thing at a time. */
import { Button } from "@mantine/core";
import { useState, type ReactNode } from "react";
import { asProblem, call, client, postForm, type Problem } from "@/api/client";
import { queryClient } from "@/api/queries";
import type { Model, ModelSummary, SavedPlan } from "@/api/types";
import { download } from "@/app/download";
import { FilePick } from "@/app/FilePick";
import { formatAgo } from "@/app/format";
import { tellProblem } from "@/app/notify";
import { ProblemCard } from "@/app/ProblemCard";
import { navigate } from "@/app/router";
import type { BrokenDraft, Draft } from "@/plan/drafts";
import { exportPlan } from "@/plan/exportPlan";
import { planStore } from "@/plan/store";
import { useSync } from "@/plan/sync";
import { useKeeper } from "@/plan/useKeeper";
import { ConflictCard } from "./ConflictCard";
import "@/styles/plan.css";

export function PlanTrouble({ model, show }: { model: Model; show: (layers: readonly string[]) => void }) {
  const { state, problem, conflict, gone, kept, broken, waiting, otherForm, stored, plan } = useSync((sync) => sync);
  const keeper = useKeeper();
  if (state === "loading") return problem && <Card title="The plan is not there yet" what={`${problem.message} ${problem.nextStep}`} testid="plan-loading" />;
  const save = (
    <Button size="xs" variant="default" onClick={() => exportPlan(model, planStore.getState().content, plan?.name ?? "Plan")} data-testid="trouble-export">
      Export plan
    </Button>
  );
  if (gone === "model") return <ModelGone model={model} save={save} />;
  if (gone === "plan") {
    return (
      <Card title="This plan was removed in another window" what={<>“<bdi>{plan?.name}</bdi>” is still here as you see it, but nowhere else. What you change is kept in this browser.</>} testid="plan-gone">
        <Button size="xs" onClick={() => void keeper.saveAgain().catch(tellProblem)} data-testid="plan-save-again">
          Save it again
        </Button>
        {save}
        <Button size="xs" variant="subtle" onClick={keeper.openNewest}>
          Open the newest plan
        </Button>
      </Card>
    );
  }
  if (conflict) return <ConflictCard key={conflict.keptAt ?? 0} {...conflict} waiting={waiting} show={show} resolve={keeper.resolve} />;
  if (!stored && state !== "saved") {
    return (
      <Card title="Your edits are only in this window" what="The studio does not have them, and this browser has no room to keep them. Export the plan before you close the window." testid="plan-not-stored">
        {save}
      </Card>
    );
  }
  if (state === "failed" && problem) {
    return (
      <Card title="The studio does not take the plan" what={`${problem.message} ${problem.nextStep} Your edits are kept in this browser.`} testid="plan-failed">
        {save}
      </Card>
    );
  }
  if (otherForm) return <OtherForm model={model} plan={otherForm} stay={keeper.stay} />;
  const [first] = broken;
  if (first) return <Broken draft={first} forget={() => keeper.forget(first.key)} />;
  const [draft] = kept;
  return draft ? <Kept model={model} draft={draft} more={kept.length - 1} save={() => keeper.saveDraft(draft)} forget={() => keeper.forget(draft.key)} /> : null;
}

function Card({ title, what, testid, children }: { title: string; what: ReactNode; testid: string; children?: ReactNode }) {
  return (
    <section className="trouble" role="alert" aria-label={title} data-testid={testid}>
      <h2>{title}</h2>
      <p>{what}</p>
      {children && <footer>{children}</footer>}
    </section>
  );
}

/** The same file has the same address, so that this page goes on when the network is back. */
function ModelGone({ model, save }: { model: Model; save: ReactNode }) {
  const [busy, setBusy] = useState(false);
  const [problem, setProblem] = useState<Problem | null>(null);
  const [other, setOther] = useState<ModelSummary | null>(null);
  const send = (file: File) => {
    const form = new FormData();
    form.set("file", file);
    // Its plan is for the form that is open here.
    if (!model.simplified) form.set("simplify", "false");
    if (Object.keys(model.dims).length > 0) form.set("dims", JSON.stringify(model.dims));
    setBusy(true);
    setProblem(null);
    postForm<ModelSummary>("/api/models", form, () => undefined)
      .then(
        (added) => {
          void queryClient.invalidateQueries({ queryKey: ["models"] });
          setOther(added.id === model.id ? null : added);
        },
        (error: unknown) => setProblem(asProblem(error)),
      )
      .finally(() => setBusy(false));
  };
  return (
    <Card title="This network was removed in another window" what="Your plan is still here, and is kept in this browser. Add the same ONNX file again, here or there, and the plan is saved with it." testid="model-gone">
      {problem && <ProblemCard problem={problem} />}
      {other && (
        <p className="trouble-note">
          That file is another network, <bdi>{other.name}</bdi>. It was added; this plan is not for it.
        </p>
      )}
      <FilePick label="The network's ONNX file" take={send} accept=".onnx" testId="model-again">
        {(props) => (
          <Button {...props} size="xs" loading={busy}>
            Add the file again…
          </Button>
        )}
      </FilePick>
      {save}
      <Button size="xs" variant="subtle" onClick={() => navigate("/models")}>
        All models
      </Button>
    </Card>
  );
}

function OtherForm({ model, plan, stay }: { model: Model; plan: SavedPlan; stay: () => void }) {
  const [busy, setBusy] = useState(false);
  const { simplified } = plan.plan.network;
  const open = () => {
    setBusy(true);
    call(client.PATCH("/api/models/{model_id}", { params: { path: { model_id: model.id } }, body: { simplified } }))
      .then(() => {
        navigate(`/m/${encodeURIComponent(model.id)}/p/${plan.id}`, true);
        return Promise.all(["models", "model"].map((key) => queryClient.invalidateQueries({ queryKey: [key] })));
      })
      .catch(tellProblem)
      .finally(() => setBusy(false));
  };
  const differs = simplified !== model.simplified;
  const form = simplified ? "in its simplified form" : "as in its file";
  return (
    <Card
      title="That plan is for another form of the network"
      what={
        <>
          “<bdi>{plan.name}</bdi>” is for the network {differs ? form : "with other sizes of its input"}, and stays as it is. What is open here is for the form that you see.
        </>
      }
      testid="other-form"
    >
      {differs && (
        <Button size="xs" loading={busy} onClick={open} data-testid="open-form">
          Use the network {form}
        </Button>
      )}
      <Button size="xs" variant="default" onClick={stay} data-testid="stay-in-form">
        Stay
      </Button>
    </Card>
  );
}

function Kept({ model, draft, more, save, forget }: { model: Model; draft: Draft; more: number; save: () => Promise<void>; forget: () => void }) {
  const [now] = useState(() => Date.now());
  const [busy, setBusy] = useState(false);
  return (
    <Card
      title="Edits are kept in this browser"
      what={
        <>
          They are of “<bdi>{draft.name}</bdi>”, from {formatAgo(new Date(draft.at).toISOString(), now)}, which the studio does not have any more.
          {more > 0 && ` ${more} more like this.`}
        </>
      }
      testid="kept-draft"
    >
      <Button size="xs" loading={busy} onClick={() => (setBusy(true), save().catch(tellProblem).finally(() => setBusy(false)))} data-testid="kept-save">
        Save as a new plan
      </Button>
      <Button size="xs" variant="default" onClick={() => exportPlan(model, draft.mine, draft.name)}>
        Export
      </Button>
      <Button size="xs" variant="subtle" color="red" onClick={forget}>
        Throw away
      </Button>
    </Card>
  );
}

function Broken({ draft, forget }: { draft: BrokenDraft; forget: () => void }) {
  return (
    <Card title="Edits kept in this browser cannot be read" what={<>{draft.why} The plan is open as the studio has it.</>} testid="broken-draft">
      <Button size="xs" variant="default" onClick={() => download("kept-edits.txt", draft.text)} data-testid="broken-export">
        Save what is there
      </Button>
      <Button size="xs" variant="subtle" color="red" onClick={forget} data-testid="broken-forget">
        Throw away
      </Button>
    </Card>
  );
}
