/** Pages by address: `/`, `/m/<model>`, `/m/<model>/p/<plan>`, `/devices`, `/runs`, `/runs/<run>`, `/runs/<run>,<run>`. */
import { useSyncExternalStore } from "react";

/** `planId` is null where the newest plan is meant. `ids`: one run's report, several beside one another, none: all runs. */
export type Route =
  | { page: "models" }
  | { page: "editor"; modelId: string; planId: number | null }
  | { page: "devices" }
  | { page: "runs"; ids: readonly string[] }
  | { page: "unknown"; path: string };

export const runsPath = (ids: readonly string[]): string => `/runs${ids.length === 0 ? "" : `/${ids.map(encodeURIComponent).join(",")}`}`;

/** The address of a network's editor, with one of its saved plans open. */
export const editorPath = (modelId: string, planId: number | null = null): string => `/m/${encodeURIComponent(modelId)}${planId === null ? "" : `/p/${planId}`}`;

function decoded(part: string): string {
  try {
    return decodeURIComponent(part);
  } catch {
    return part;
  }
}

export function parseRoute(path: string): Route {
  const editor = /^\/m\/([^/]+)(?:\/p\/([1-9]\d{0,15}))?\/?$/.exec(path);
  if (editor?.[1] !== undefined) return { page: "editor", modelId: decoded(editor[1]), planId: editor[2] === undefined ? null : Number(editor[2]) };
  if (path === "/devices" || path === "/devices/") return { page: "devices" };
  const runs = /^\/runs(?:\/([\w,-]+))?\/?$/.exec(path);
  if (runs) return { page: "runs", ids: [...new Set((runs[1] ?? "").split(",").filter((id) => id !== ""))] };
  if (path === "/" || path === "/models" || path === "/index.html") return { page: "models" };
  return { page: "unknown", path };
}

const listeners = new Set<() => void>();

function subscribe(listener: () => void): () => void {
  listeners.add(listener);
  window.addEventListener("popstate", listener);
  return () => {
    listeners.delete(listener);
    window.removeEventListener("popstate", listener);
  };
}

export function navigate(path: string, replace = false): void {
  if (replace) window.history.replaceState(null, "", path);
  else window.history.pushState(null, "", path);
  listeners.forEach((listener) => listener());
}

/** Go on once something is done that takes a while; who has gone elsewhere meanwhile is left there. */
export function onwards(): (path: string) => void {
  const { pathname } = window.location;
  return (path) => {
    if (window.location.pathname === pathname) navigate(path);
  };
}

export function usePath(): string {
  return useSyncExternalStore(subscribe, () => window.location.pathname);
}
