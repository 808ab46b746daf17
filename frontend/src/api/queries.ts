/** What the page asks the studio for, and keeps until the live connection says that it changed. */
import { QueryClient, queryOptions, type QueryKey } from "@tanstack/react-query";
import { call, client, Problem } from "./client";
import type { Deployment, Device, Job, Model, PowerSettings } from "./types";

export const queryClient = new QueryClient({
  defaultOptions: {
    queries: {
      staleTime: 60_000,
      retry: (count, error) => count < 2 && error instanceof Problem && (error.status === 0 || error.status >= 500),
    },
  },
});

export const studioQuery = queryOptions({ queryKey: ["studio"], queryFn: () => call(client.GET("/api/studio")) });
export const modelsQuery = queryOptions({ queryKey: ["models"], queryFn: () => call(client.GET("/api/models")) });
export const examplesQuery = queryOptions({ queryKey: ["examples"], queryFn: () => call(client.GET("/api/examples")) });
export const devicesQuery = queryOptions({ queryKey: ["devices"], queryFn: () => call(client.GET("/api/devices")) });
export const deploymentsQuery = queryOptions({ queryKey: ["deployments"], queryFn: () => call(client.GET("/api/deployments")) });

export const modelQuery = (id: string) =>
  queryOptions({
    queryKey: ["model", id],
    staleTime: Infinity,
    queryFn: () => call(client.GET("/api/models/{model_id}", { params: { path: { model_id: id } } })),
  });

/** A network's weights never change; its two forms have their own. */
export const weightsQuery = ({ id, simplified }: Pick<Model, "id" | "simplified">, layer: string) =>
  queryOptions({
    queryKey: ["weights", id, simplified, layer],
    staleTime: Infinity,
    queryFn: () => call(client.GET("/api/models/{model_id}/weights", { params: { path: { model_id: id }, query: { layer } } })),
  });

export const weightFiguresQuery = ({ id, simplified }: Pick<Model, "id" | "simplified">, name: string) =>
  queryOptions({
    queryKey: ["weight-figures", id, simplified, name],
    staleTime: Infinity,
    queryFn: () => call(client.GET("/api/models/{model_id}/weights/figures", { params: { path: { model_id: id }, query: { name } } })),
  });

export const logQuery = (name: string) =>
  queryOptions({
    queryKey: ["log", name],
    staleTime: 0,
    refetchInterval: 3000,
    queryFn: () => call(client.GET("/api/devices/{name}/log", { params: { path: { name }, query: { lines: 500 } } })),
  });

export const jobsQuery = queryOptions({ queryKey: ["jobs"], queryFn: () => call(client.GET("/api/jobs")) });
export const linksQuery = queryOptions({ queryKey: ["links"], queryFn: () => call(client.GET("/api/links")) });
export const profilesQuery = queryOptions({ queryKey: ["profiles"], queryFn: () => call(client.GET("/api/profiles")) });
export const sshHostsQuery = queryOptions({ queryKey: ["ssh-hosts"], staleTime: 0, queryFn: () => call(client.GET("/api/devices/ssh-hosts")) });

export const profileQuery = (id: number) =>
  queryOptions({
    queryKey: ["profile", id],
    staleTime: Infinity,
    queryFn: () => call(client.GET("/api/profiles/{profile_id}", { params: { path: { profile_id: id } } })),
  });

export const readingsQuery = (name: string) =>
  queryOptions({
    queryKey: ["readings", name],
    queryFn: () => call(client.GET("/api/devices/{name}/meter-readings", { params: { path: { name } } })),
  });

/** Refetched now and then, so that it always reaches to where the page's own ring of live figures begins. */
export const historyQuery = (name: string, seconds: number) =>
  queryOptions({
    queryKey: ["history", name, seconds],
    staleTime: 0,
    refetchInterval: 60_000,
    queryFn: () => call(client.GET("/api/devices/{name}/history", { params: { path: { name }, query: { seconds, points: 300 } } })),
  });

export const predictionsQuery = (deployment: string, moving: boolean) =>
  queryOptions({
    queryKey: ["predictions", deployment],
    staleTime: 0,
    refetchInterval: moving ? 3000 : false,
    retry: false,
    queryFn: () => call(client.GET("/api/deployments/{deployment_id}/predictions", { params: { path: { deployment_id: deployment } } })),
  });

/** Answers on the way, after which it is asked once more. */
const overtaken = new WeakSet<Promise<unknown>>();

/** Something of a list was just heard: an answer that is on its way may be older, and would take its place. */
function heard(queryKey: QueryKey): void {
  const query = queryClient.getQueryCache().find({ queryKey, exact: true });
  if (query?.state.fetchStatus !== "fetching" || !query.promise || overtaken.has(query.promise)) return;
  overtaken.add(query.promise);
  const again = () => queryClient.invalidateQueries({ queryKey, exact: true }, { cancelRefetch: false });
  query.promise.then(again, again);
}

export const isGoing = ({ state }: Pick<Job, "state">): boolean => state === "waiting" || state === "running";

/** The list with a job's newest state; what was heard to have ended goes on no more. Newest first. */
export function withJob(list: Job[], job: Job): Job[] {
  const old = list.find(({ id }) => id === job.id);
  if (!old) return [job, ...list];
  if (!isGoing(old) && isGoing(job)) return list;
  return list.map((other) => (other.id === job.id ? job : other));
}

export function rememberJob(job: Job): void {
  queryClient.setQueryData(jobsQuery.queryKey, (list) => withJob(list ?? [], job));
  heard(jobsQuery.queryKey);
}

/** Put a device's newest power settings into the list. */
export function rememberPower(name: string, power: PowerSettings): void {
  queryClient.setQueryData(devicesQuery.queryKey, (list) => list?.map((device) => (device.name === name ? { ...device, power } : device)));
  heard(devicesQuery.queryKey);
}

/** Put a device's newest state into the list. */
export function rememberDevice(device: Device): void {
  queryClient.setQueryData(devicesQuery.queryKey, (list) => {
    if (!list) return list;
    return list.some(({ name }) => name === device.name) ? list.map((old) => (old.name === device.name ? device : old)) : [...list, device];
  });
  heard(devicesQuery.queryKey);
}

export function forgetDevice(name: string): void {
  queryClient.setQueryData(devicesQuery.queryKey, (list) => list?.filter((device) => device.name !== name));
  heard(devicesQuery.queryKey);
}

/** Put a deployment's newest state into the list, newest first. */
export function rememberDeployment(deployment: Deployment): void {
  queryClient.setQueryData(deploymentsQuery.queryKey, (list) => {
    if (!list) return list;
    return list.some(({ id }) => id === deployment.id) ? list.map((old) => (old.id === deployment.id ? deployment : old)) : [deployment, ...list];
  });
  heard(deploymentsQuery.queryKey);
}
