/** Keeps a plan that the planner found as a saved plan of its own; the open one stays as it is. */
import { Button } from "@mantine/core";
import { notifications } from "@mantine/notifications";
import { useState } from "react";
import { tellProblem } from "@/app/notify";
import { editorPath, navigate } from "@/app/router";
import { queryClient } from "@/api/queries";
import type { Model } from "@/api/types";
import { planStore } from "@/plan/store";
import { takenOver } from "@/planner/applied";
import type { Answer } from "@/planner/types";
import { formatValue } from "@/planner/words";
import { saveBeside } from "./actions";
import { compareWith, savedKey } from "./comparing";
import { plansQuery } from "./queries";
import { freeName } from "./subjects";

interface SaveAnswerProps {
  model: Model;
  answer: Pick<Answer, "plan" | "prediction">;
  /** What it is: its figures come behind. */
  what: string;
  words?: string;
}

export function SaveAnswer({ model, answer, what, words = "Save as a plan" }: SaveAnswerProps) {
  const [busy, setBusy] = useState(false);
  const save = async () => {
    const names = (await queryClient.fetchQuery(plansQuery(model.id))).map(({ name }) => name);
    const content = takenOver(planStore.getState().content, answer.plan);
    const name = freeName(`${what}, ${formatValue("throughput", answer.prediction.throughput_per_s)}`.replaceAll("\u202f", " "), names);
    // Notes are on the open plan, not on this one.
    const plan = await saveBeside(model, { ...content, rest: { ...content.rest, name: "", notes: "" } }, name);
    const id = `kept ${plan.id}`;
    const then = (work: () => void) => () => {
      notifications.hide(id);
      work();
    };
    notifications.show({
      id,
      title: `Saved as ${plan.name}`,
      message: (
        <span className="notice-acts">
          <Button size="compact-xs" variant="default" onClick={then(() => navigate(editorPath(model.id, plan.id)))} data-testid="open-kept">
            Open it
          </Button>
          <Button size="compact-xs" variant="default" onClick={then(() => compareWith([savedKey(plan.id)]))} data-testid="compare-kept">
            Side by side
          </Button>
        </span>
      ),
      autoClose: 12_000,
      "data-testid": "kept",
    });
  };
  return (
    <Button
      size="compact-xs"
      variant="default"
      loading={busy}
      onClick={() => {
        setBusy(true);
        save().catch(tellProblem).finally(() => setBusy(false));
      }}
      title="Keep it beside the open plan, under a name of its own"
      data-testid="save-answer"
    >
      {words}
    </Button>
  );
}
