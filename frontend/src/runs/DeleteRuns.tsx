/** Asked before runs are forgotten: their figures cannot be made again. */
import { Button, Group } from "@mantine/core";
import { useState } from "react";
import { asProblem, type Problem } from "@/api/client";
import { queryClient } from "@/api/queries";
import { Dialog } from "@/app/Dialog";
import { plural } from "@/app/format";
import { ProblemCard } from "@/app/ProblemCard";
import { deleteRuns } from "./queries";

export function DeleteRuns({ ids, close, done }: { ids: readonly string[]; close: () => void; done: () => void }) {
  const [busy, setBusy] = useState(false);
  const [problem, setProblem] = useState<Problem | null>(null);
  const remove = () => {
    setBusy(true);
    deleteRuns(ids)
      .then(done, (error: unknown) => {
        setProblem(asProblem(error));
        setBusy(false);
      })
      .finally(() => {
        for (const key of ["runs", "models"]) void queryClient.invalidateQueries({ queryKey: [key] });
      });
  };
  return (
    <Dialog onClose={close} title={`Delete ${ids.length === 1 ? "this run" : plural(ids.length, "run")}?`} size="sm">
      <p className="dialog-text">The figures and the report are forgotten for good. The plan, the network and the devices stay as they are.</p>
      {problem && <ProblemCard problem={problem} />}
      <Group justify="flex-end" mt="md">
        <Button variant="default" onClick={close} data-autofocus>
          Keep
        </Button>
        <Button color="red" loading={busy} onClick={remove} data-testid="confirm-delete">
          Delete
        </Button>
      </Group>
    </Dialog>
  );
}
