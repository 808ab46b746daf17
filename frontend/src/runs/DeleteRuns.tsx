/** Asked before runs are forgotten: their figures cannot be made again. */
import { queryClient } from "@/api/queries";
import { plural } from "@/app/format";
import { RemovalDialog } from "@/app/RemovalDialog";
import { deleteRuns } from "./queries";

export function DeleteRuns({ ids, close, done }: { ids: readonly string[]; close: () => void; done: () => void }) {
  const remove = async () => {
    try {
      await deleteRuns(ids);
      done();
    } finally {
      for (const key of ["runs", "models"]) void queryClient.invalidateQueries({ queryKey: [key] });
    }
  };
  return (
    <RemovalDialog
      title={`Delete ${ids.length === 1 ? "this run" : plural(ids.length, "run")}?`}
      loss="The figures and the report are forgotten for good. The plan, the network and the devices stay as they are."
      verb="Delete"
      remove={remove}
      close={close}
    />
  );
}
