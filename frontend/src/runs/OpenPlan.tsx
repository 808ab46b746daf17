/** Opens the plan of a run in the editor, as a new plan: what is there stays as it is. */
import { Button } from "@mantine/core";
import { useQuery } from "@tanstack/react-query";
import { IconExternalLink } from "@tabler/icons-react";
import { useState } from "react";
import { call, client } from "@/api/client";
import { modelsQuery } from "@/api/queries";
import type { RunReport } from "@/api/types";
import { cutName } from "@/app/names";
import { tellProblem } from "@/app/notify";
import { editorPath, onwards } from "@/app/router";
import { sameForm } from "@/plan/content";
import { formatMoment } from "./words";

export function OpenPlan({ report: { model_id, deployment, plan_name, run } }: { report: RunReport }) {
  const models = useQuery(modelsQuery);
  const [busy, setBusy] = useState(false);
  const model = models.data?.find(({ id }) => id === model_id);
  const plan = deployment?.plan;
  const reason = !plan ? "The plan was not kept" : models.data && !model ? "Its network was removed" : model && !sameForm(plan.network, model) ? "The network is loaded in another form now" : null;
  const open = () => {
    if (!model || !plan) return;
    setBusy(true);
    const goOn = onwards();
    const name = cutName(`${plan_name ?? "Plan"} of ${formatMoment(run.started_at)}`);
    call(client.POST("/api/models/{model_id}/plans", { params: { path: { model_id: model.id } }, body: { name, plan } }))
      .then((saved) => goOn(editorPath(model.id, saved.id)), tellProblem)
      .finally(() => setBusy(false));
  };
  return (
    <Button size="xs" leftSection={<IconExternalLink size={14} />} loading={busy} disabled={reason !== null || !model} title={reason ?? "As a new plan beside the others"} onClick={open} data-testid="open-plan">
      Open the plan
    </Button>
  );
}
