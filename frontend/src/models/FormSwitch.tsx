/** Whether a network is used simplified, what that means for it, and the switch between the two. */
import { Switch } from "@mantine/core";
import { useState } from "react";
import { call, client } from "@/api/client";
import { queryClient } from "@/api/queries";
import type { ModelSummary } from "@/api/types";
import { tellProblem } from "@/app/notify";

/** "As in the file: ..." or "Simplified: 53 layers fewer; equal to the original". */
function describeForm({ simplified, simplification }: Pick<ModelSummary, "simplified" | "simplification">): string {
  return `${simplified ? "Simplified" : "As in the file"}${simplification === "" ? "" : `: ${simplification}`}`;
}

export function describeDims(dims: ModelSummary["dims"]): string {
  return Object.entries(dims).map(([name, size]) => `${name} = ${size}`).join(", ");
}

type FormModel = Pick<ModelSummary, "id" | "name" | "simplified" | "simplifiable" | "simplification">;

export function FormSwitch({ model }: { model: FormModel }) {
  // What was asked for is shown while the studio loads the network in that form.
  const [asked, setAsked] = useState<boolean | null>(null);
  if (!model.simplifiable && !model.simplified) return null;
  const change = (simplified: boolean) => {
    setAsked(simplified);
    call(client.PATCH("/api/models/{model_id}", { params: { path: { model_id: model.id } }, body: { simplified } }))
      .then(() => Promise.all(["models", "model"].map((key) => queryClient.invalidateQueries({ queryKey: [key] }))), tellProblem)
      .finally(() => setAsked(null));
  };
  return (
    <Switch
      size="xs"
      className="form-switch"
      label="Simplified"
      checked={asked ?? model.simplified}
      disabled={asked !== null}
      onChange={(event) => change(event.currentTarget.checked)}
      title={describeForm(model)}
      aria-description={describeForm(model)}
      data-testid={`simplified-${model.id}`}
    />
  );
}
