/** Long tasks, in the header of every page; nothing where there were none. */
import { lazily } from "@/app/lazily";
import { useJobs } from "./useJobs";

const JobsButton = lazily(() => import("./JobsButton").then(({ JobsButton: part }) => part));

export function JobsMenu() {
  const jobs = useJobs();
  return jobs.length > 0 && <JobsButton jobs={jobs} />;
}
