/** What the page asks the studio for, and keeps until the live connection says that it changed. */
import { QueryClient, queryOptions } from "@tanstack/react-query";
import { call, client, Problem } from "./client";
import type { Deployment, Device } from "./types";

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

export const logQuery = (name: string) =>
  queryOptions({
    queryKey: ["log", name],
    staleTime: 0,
    refetchInterval: 3000,
    queryFn: () => call(client.GET("/api/devices/{name}/log", { params: { path: { name }, query: { lines: 500 } } })),
  });

/** Put a device's newest state into the list. */
export function rememberDevice(device: Device): void {
  queryClient.setQueryData(devicesQuery.queryKey, (list) => {
    if (!list) return list;
    return list.some(({ name }) => name === device.name) ? list.map((old) => (old.name === device.name ? device : old)) : [...list, device];
  });
}

export function forgetDevice(name: string): void {
  queryClient.setQueryData(devicesQuery.queryKey, (list) => list?.filter((device) => device.name !== name));
}

/** Put a deployment's newest state into the list, newest first. */
export function rememberDeployment(deployment: Deployment): void {
  queryClient.setQueryData(deploymentsQuery.queryKey, (list) => {
    if (!list) return list;
    return list.some(({ id }) => id === deployment.id) ? list.map((old) => (old.id === deployment.id ? deployment : old)) : [deployment, ...list];
  });
}
