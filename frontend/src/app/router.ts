/** Pages by address: `/`, `/m/<model>`, `/devices`. */
import { useSyncExternalStore } from "react";

export type Route = { page: "models" } | { page: "editor"; modelId: string } | { page: "devices" } | { page: "unknown"; path: string };

export function parseRoute(path: string): Route {
  const model = /^\/m\/([^/]+)\/?$/.exec(path);
  if (model?.[1] !== undefined) return { page: "editor", modelId: decodeURIComponent(model[1]) };
  if (path === "/devices" || path === "/devices/") return { page: "devices" };
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

export function usePath(): string {
  return useSyncExternalStore(subscribe, () => window.location.pathname);
}
