/** Requests made before the code that needs their answers is there. Imports nothing: the first script of all has it. */

/** An answer that nobody took for so long may be old. */
const KEPT_MS = 10_000;

const waiting = new Map<string, Promise<Response>>();

/** Ask the studio for something that will be wanted soon. */
export function askEarly(path: string): void {
  const answer = fetch(path, { credentials: "same-origin" });
  // Whoever takes it hears of its failure.
  answer.catch(() => undefined);
  waiting.set(new URL(path, window.location.href).href, answer);
  setTimeout(() => waiting.delete(new URL(path, window.location.href).href), KEPT_MS);
}

/** As `fetch`; an answer that was asked for early is handed out once. */
export function fetchOrTake(request: Request): Promise<Response> {
  const early = request.method === "GET" && !request.signal.aborted ? waiting.get(request.url) : undefined;
  if (!early) return fetch(request);
  waiting.delete(request.url);
  return early;
}

/** What the editor of an address will ask for first. */
export function editorRequests(pathname: string): string[] {
  const model = /^\/m\/([^/]+)(\/|$)/.exec(pathname)?.[1];
  return model === undefined ? [] : [`/api/models/${model}`, "/api/devices", `/api/models/${model}/plans`];
}
