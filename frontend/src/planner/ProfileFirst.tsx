/** That figures are estimated, of what, and a way to measure instead. */
import { Button } from "@mantine/core";
import { IconArrowsExchange, IconStopwatch } from "@tabler/icons-react";
import { call, client } from "@/api/client";
import { rememberJob } from "@/api/queries";
import type { Model } from "@/api/types";
import { plural } from "@/app/format";
import { tellProblem } from "@/app/notify";
import { JobProgress } from "@/jobs/JobProgress";
import { useJobs } from "@/jobs/useJobs";
import { jobOf } from "@/jobs/words";
import { profileAll, profiledWhere } from "./profiling";
import type { Prediction } from "./types";
import { estimatedOf, estimateWords } from "./words";

export function ProfileFirst({ model, prediction }: { model: Model; prediction: Pick<Prediction, "devices" | "links"> }) {
  const jobs = useJobs();
  const estimated = estimatedOf(prediction);
  const profiled = profiledWhere(prediction);
  const links = prediction.links.filter((link) => link.estimated).length;
  if (estimated.length === 0 && links === 0) return null;
  const going = [...profiled.flatMap((device) => jobOf(jobs, device, "profile") ?? []), ...jobs.filter(({ kind, state }) => kind === "links" && (state === "running" || state === "waiting"))];
  const profile = () => profileAll(model, profiled, jobs);
  const measure = () => {
    call(client.POST("/api/links", { body: { devices: null, seconds: 1 } })).then(rememberJob, tellProblem);
  };
  return (
    <section className="estimated" data-testid="estimated">
      <p>
        <span className="tag">estimated</span> Not measured yet: {[...estimated.map(({ what, devices }) => `${estimateWords(what)} of ${devices.join(", ")}`), ...(links > 0 ? [plural(links, "link")] : [])].join("; ")}. A plan from measured figures is worth more: measure first.
      </p>
      {going.map((job) => (
        <JobProgress key={job.id} job={job} />
      ))}
      {going.length === 0 && (
        <div className="planner-buttons">
          {profiled.length > 0 && (
            <Button size="compact-xs" variant="default" leftSection={<IconStopwatch size={13} />} onClick={profile} data-testid="profile-first">
              Profile this network on {profiled.length === 1 ? profiled[0] : plural(profiled.length, "device")}
            </Button>
          )}
          {links > 0 && (
            <Button size="compact-xs" variant="default" leftSection={<IconArrowsExchange size={13} />} onClick={measure} data-testid="measure-first">
              Measure the links
            </Button>
          )}
        </div>
      )}
    </section>
  );
}
