/** Which devices must be profiled for a prediction to rest on measured figures, and having it done. */
import { call, client } from "@/api/client";
import { rememberJob } from "@/api/queries";
import type { Job, Model } from "@/api/types";
import { tellProblem } from "@/app/notify";
import { jobOf } from "@/jobs/words";
import type { Prediction } from "./types";
import { estimatedOf } from "./words";

/** What profiling a device tells; power is told elsewhere. */
const PROFILED = new Set(["compute", "carry", "codecs"]);

export const profiledWhere = (prediction: Pick<Prediction, "devices">): string[] => estimatedOf(prediction).filter(({ what }) => what.some((one) => PROFILED.has(one))).flatMap(({ devices }) => devices);

export function profileAll(model: Pick<Model, "id">, devices: readonly string[], jobs: readonly Job[]): void {
  for (const name of devices) {
    if (jobOf(jobs, name, "profile")) continue;
    call(client.POST("/api/devices/{name}/profiles", { params: { path: { name } }, body: { model_id: model.id, threads: 0, again: false } })).then(rememberJob, tellProblem);
  }
}
