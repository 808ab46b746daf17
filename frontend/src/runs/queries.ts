/** What the page of runs asks the studio for. */
import { keepPreviousData, queryOptions } from "@tanstack/react-query";
import { asProblem, call, client } from "@/api/client";
import type { Run } from "@/api/types";

export interface RunFilter {
  model: string | null;
  device: string | null;
  state: Run["state"] | null;
  page: number;
}

export const PAGE_SIZE = 25;
/** Runs that are deleted may leave a page behind that has none any more. */
export const lastPage = (total: number): number => Math.max(Math.ceil(total / PAGE_SIZE) - 1, 0);
export const ALL_RUNS: RunFilter = { model: null, device: null, state: null, page: 0 };

export const runsQuery = ({ model, device, state, page }: RunFilter) =>
  queryOptions({
    queryKey: ["runs", model, device, state, page],
    placeholderData: keepPreviousData,
    queryFn: () =>
      call(
        client.GET("/api/runs", {
          params: { query: { limit: PAGE_SIZE, offset: page * PAGE_SIZE, ...(model !== null && { model_id: model }), ...(device !== null && { device }), ...(state !== null && { state }) } },
        }),
      ),
  });

export const reportQuery = (id: string) =>
  queryOptions({
    queryKey: ["run-report", id],
    staleTime: 0,
    retry: false,
    refetchInterval: ({ state }) => (state.data?.run.state === "running" ? 2000 : false),
    queryFn: () => call(client.GET("/api/runs/{run_id}/report", { params: { path: { run_id: id } } })),
  });

/** What a device did while a run went on, as far as it is kept; a moment more at both ends. */
export const runHistoryQuery = (device: string, startedAt: string, elapsedS: number) =>
  queryOptions({
    queryKey: ["run-history", device, startedAt, Math.round(elapsedS)],
    // What was drawn stays until the next stretch of a run that goes on is there.
    placeholderData: keepPreviousData,
    retry: false,
    queryFn: () =>
      call(
        client.GET("/api/devices/{name}/history", {
          params: { path: { name: device }, query: { seconds: Math.min(Math.max(elapsedS + 4, 10), 604_000), points: 240, until_unix_s: Date.parse(startedAt) / 1000 + elapsedS + 2 } },
        }),
      ),
  });

const isGone = (error: unknown): void => {
  if (asProblem(error).status !== 404) throw error;
};

/** Forget runs one after the other; one that is gone already is as it was wished. Throws the first Problem. */
export async function deleteRuns(ids: readonly string[]): Promise<void> {
  for (const id of ids) await call(client.DELETE("/api/runs/{run_id}", { params: { path: { run_id: id } } })).catch(isGone);
}
