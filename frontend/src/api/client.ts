/** The typed client of the studio's REST API, and errors as the studio words them. */
import createClient from "openapi-fetch";
import { fetchOrTake } from "@/app/early";
import type { components, paths } from "./schema";

export type Schemas = components["schemas"];
export type ProblemOut = Schemas["ProblemOut"];

/** A failed request: what happened, and what to do about it. */
export class Problem extends Error {
  readonly code: string;
  readonly nextStep: string;
  readonly details: Readonly<Record<string, unknown>>;
  readonly status: number;

  constructor(out: ProblemOut, status: number) {
    super(out.message);
    this.name = "Problem";
    this.code = out.code;
    this.nextStep = out.next_step;
    this.details = out.details ?? {};
    this.status = status;
  }
}

export const unreachable = (): Problem =>
  new Problem(
    {
      code: "studio_unreachable",
      message: "The studio does not answer.",
      next_step: "Check that it still runs; this page connects again by itself.",
      details: {},
    },
    0,
  );

const signOutListeners = new Set<() => void>();

/** Be told when the studio answers that this browser is not signed in. */
export function onSignedOut(listener: () => void): () => void {
  signOutListeners.add(listener);
  return () => signOutListeners.delete(listener);
}

/** Read an error body; a body that is not the studio's (a proxy's page) gets words of our own. */
function problemFrom(body: unknown, status: number): Problem {
  if (status === 401) signOutListeners.forEach((listener) => listener());
  if (isProblem(body)) return new Problem(body, status);
  return new Problem(
    { code: "unexpected_answer", message: `The studio answered with status ${status}.`, next_step: "Try again; if it happens again, look at the studio's log.", details: {} },
    status,
  );
}

function isProblem(body: unknown): body is ProblemOut {
  return typeof body === "object" && body !== null && "code" in body && "message" in body && "next_step" in body;
}

/** Make any thrown value a Problem. */
export function asProblem(error: unknown): Problem {
  if (error instanceof Problem) return error;
  return new Problem(
    { code: "page_error", message: error instanceof Error ? error.message : String(error), next_step: "Reload the page; if it happens again, report it.", details: {} },
    0,
  );
}

export const client = createClient<paths>({ baseUrl: "", credentials: "same-origin", fetch: fetchOrTake });

interface Answer<T> {
  data?: T;
  error?: unknown;
  response: Response;
}

/** Await a request; returns its data or throws a Problem. */
export async function call<T>(request: Promise<Answer<T>>): Promise<T> {
  let answer: Answer<T>;
  try {
    answer = await request;
  } catch (error) {
    if (error instanceof DOMException && error.name === "AbortError") throw error;
    if (error instanceof TypeError || (error instanceof DOMException && error.name === "TimeoutError")) throw unreachable();
    throw asProblem(error);
  }
  if (!answer.response.ok) throw problemFrom(answer.error, answer.response.status);
  return answer.data as T;
}

/** POST a form with progress (fetch has none for uploads). */
export function postForm<T>(url: string, form: FormData, onProgress: (share: number) => void, signal?: AbortSignal): Promise<T> {
  return new Promise((resolve, reject) => {
    const request = new XMLHttpRequest();
    request.open("POST", url);
    request.upload.onprogress = (event) => {
      if (event.lengthComputable) onProgress(event.loaded / event.total);
    };
    request.onload = () => {
      let body: unknown = null;
      try {
        body = JSON.parse(request.responseText);
      } catch {
        body = null;
      }
      if (request.status >= 200 && request.status < 300) resolve(body as T);
      else reject(problemFrom(body, request.status));
    };
    request.onerror = () => reject(unreachable());
    request.onabort = () => reject(new DOMException("aborted", "AbortError"));
    signal?.addEventListener("abort", () => request.abort());
    request.send(form);
  });
}
