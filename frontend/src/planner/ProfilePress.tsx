/** The one press that has devices profiled, of which figures are only estimated. */
import { IconStopwatch } from "@tabler/icons-react";
import type { Model } from "@/api/types";
import { plural } from "@/app/format";
import { useJobs } from "@/jobs/useJobs";
import { jobOf } from "@/jobs/words";
import { profileAll } from "./profiling";

export function ProfilePress({ model, devices: wanted }: { model: Model; devices: readonly string[] }) {
  const jobs = useJobs();
  if (wanted.length === 0) return null;
  const going = wanted.some((device) => jobOf(jobs, device, "profile"));
  if (going) return <span>profiling…</span>;
  return (
    <button type="button" className="link" onClick={() => profileAll(model, wanted, jobs)} data-testid="profile-press" title={`This network was not measured yet on ${wanted.join(", ")}`}>
      <IconStopwatch size={12} aria-hidden /> profile this network on {wanted.length === 1 ? wanted[0] : plural(wanted.length, "device")}
    </button>
  );
}
