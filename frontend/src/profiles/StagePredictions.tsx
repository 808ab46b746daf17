/** Beside a running device: each stage's time as predicted from its profile, and as measured. */
import { useQuery } from "@tanstack/react-query";
import { predictionsQuery } from "@/api/queries";
import { formatDuration } from "@/app/format";
import { ABSENT } from "@/power/words";
import "@/styles/devices.css";
import { describeError } from "./table";

const durationOr = (seconds: number | null) => (seconds === null ? ABSENT : formatDuration(seconds));

export function StagePredictions({ deployment, device, profile }: { deployment: string; device: string; profile: () => void }) {
  const { data } = useQuery(predictionsQuery(deployment, true));
  const stages = data?.filter((stage) => stage.device === device) ?? [];
  if (stages.length === 0) return null;
  return (
    <table className="predictions" data-testid={`predictions-${device}`}>
      <thead>
        <tr>
          <th scope="col">Stage</th>
          <th scope="col">predicted</th>
          <th scope="col">measured</th>
          <th scope="col">
            <span className="visually-hidden">difference</span>
          </th>
        </tr>
      </thead>
      <tbody>
        {stages.map((stage) => (
          <tr key={stage.stage} title={stage.warnings.join("\n")}>
            <th scope="row">{stage.stage}</th>
            <td>
              {stage.profile_id === null ? (
                <button type="button" className="link" onClick={profile} title={`${device} has no profile of this model yet`}>
                  profile…
                </button>
              ) : (
                durationOr(stage.predicted_s)
              )}
            </td>
            <td>{durationOr(stage.measured_s)}</td>
            <td>{describeError(stage.predicted_s, stage.measured_s) ?? ""}</td>
          </tr>
        ))}
      </tbody>
    </table>
  );
}
