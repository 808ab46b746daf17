/** What a device's agent has written last. */
import { useQuery } from "@tanstack/react-query";
import { asProblem } from "@/api/client";
import { logQuery } from "@/api/queries";
import { Dialog } from "@/app/Dialog";
import { ProblemCard } from "@/app/ProblemCard";

export function LogDialog({ name, close }: { name: string; close: () => void }) {
  const { data, error } = useQuery(logQuery(name));
  return (
    <Dialog onClose={close} title={`Agent log of ${name}`} size="xl">
      {error !== null && <ProblemCard problem={asProblem(error)} />}
      {data && (data.lines.length === 0 ? <p className="dialog-text">The agent has written nothing yet.</p> : <pre className="log" tabIndex={0}>{data.lines.join("\n")}</pre>)}
    </Dialog>
  );
}
