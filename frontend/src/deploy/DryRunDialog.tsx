/** What deploying the plan would send to each device; nothing is touched to find out. */
import { Button, Loader } from "@mantine/core";
import { useQuery } from "@tanstack/react-query";
import { asProblem, call, client } from "@/api/client";
import type { DryRun, Model } from "@/api/types";
import { Dialog } from "@/app/Dialog";
import { formatBytes, plural } from "@/app/format";
import { ProblemCard } from "@/app/ProblemCard";
import { DeviceSign } from "@/devices/DeviceSign";
import { useMarks } from "@/devices/marks";
import { planDocument } from "@/plan/content";
import { usePlan } from "@/plan/store";
import "@/styles/deploy.css";

interface DryRunDialogProps {
  model: Model;
  /** Why it cannot be deployed now. */
  unable: string | null;
  start: () => void;
  close: () => void;
}

export default function DryRunDialog({ model, unable, start, close }: DryRunDialogProps) {
  const content = usePlan((whole) => whole);
  const { data, error } = useQuery({
    // Another window may edit the plan while this is read; what is deployed is the plan as it is then.
    queryKey: ["dry-run", model.id, content],
    staleTime: 0,
    gcTime: 0,
    queryFn: () => call(client.POST("/api/deployments/dry-run", { body: { model_id: model.id, plan: planDocument(model, content), wait_for_retry: false } })),
  });
  return (
    <Dialog onClose={close} title="What would be sent" size={620}>
      <div className="dry-run" data-testid="dry-run-dialog">
        {error && <ProblemCard problem={asProblem(error)} />}
        {!data && !error && (
          <p className="loading">
            <Loader size="xs" /> Cutting the network…
          </p>
        )}
        {data && <Told data={data} />}
        <div className="dialog-foot">
          <span className="hint">{unable ?? ""}</span>
          <Button size="xs" variant="default" onClick={close}>
            Close
          </Button>
          <Button
            size="xs"
            disabled={unable !== null || !data}
            onClick={() => {
              close();
              start();
            }}
            data-testid="dry-run-deploy"
          >
            Deploy
          </Button>
        </div>
      </div>
    </Dialog>
  );
}

function Told({ data }: { data: DryRun }) {
  const marks = useMarks();
  return (
    <>
      <p className="dialog-text">
        {data.send_bytes === 0 ? "Nothing needs to be sent: every device has its parts already." : <><b>{formatBytes(data.send_bytes)}</b> would be sent. A part that a device has already is not sent again.</>}
        {" "}Every device then loads its parts anew, and one frame is compared with the whole network before frames flow.
      </p>
      <table className="plain-table">
        <thead>
          <tr>
            <th scope="col">Device</th>
            <th scope="col">Parts</th>
            <th scope="col">Needs</th>
            <th scope="col">There already</th>
            <th scope="col">Sent</th>
          </tr>
        </thead>
        <tbody>
          {data.devices.map(({ device, parts, total_bytes, send_bytes }) => (
            <tr key={device} data-testid={`dry-run-${device}`}>
              <th scope="row">
                <DeviceSign mark={marks.get(device) ?? null} /> {device}
              </th>
              <td title={parts.map(({ stage, size_bytes, is_there }) => `${stage}: ${formatBytes(size_bytes)}${is_there ? ", there already" : ""}`).join("\n")}>{plural(parts.length, "part")}</td>
              <td>{formatBytes(total_bytes)}</td>
              <td>{formatBytes(total_bytes - send_bytes)}</td>
              <td>
                <b>{formatBytes(send_bytes)}</b>
              </td>
            </tr>
          ))}
        </tbody>
      </table>
      <p className="hint">
        {data.replaces !== null && "The deployment that runs goes on until the new one stands, where the devices have room for both. "}
        {data.leaves.length > 0 && `${data.leaves.join(", ")} would no longer take part. `}
        Where the agent is not installed yet, it is installed first; that is not counted here.
      </p>
    </>
  );
}
