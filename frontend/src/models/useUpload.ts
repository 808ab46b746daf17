/** Sending an ONNX file (and its external data) to the studio. */
import { useCallback, useEffect, useMemo, useRef, useState } from "react";
import { asProblem, postForm, Problem } from "@/api/client";
import { queryClient } from "@/api/queries";
import type { ModelSummary } from "@/api/types";
import { mention, tell, tellProblem } from "@/app/notify";

export type UploadState = { kind: "idle" } | { kind: "sending"; name: string; share: number } | { kind: "failed"; problem: Problem; free: FreeDimension | null; again: (() => void) | null };

/** A dimension that the network leaves open, and how to send the files again with its size. */
export interface FreeDimension {
  symbol: string;
  send: (size: number) => void;
}

export interface Upload {
  state: UploadState;
  send: (files: readonly File[]) => void;
  cancel: () => void;
  reset: () => void;
}

const notOneModel = (message: string) => new Problem({ code: "not_one_model", message, next_step: "Drop one .onnx file, with its external data files if it has any.", details: {} }, 0);

/** The ONNX file among some files, and what comes along with it. */
export function sortFiles(files: readonly File[]): { model: File; data: File[] } | Problem {
  const models = files.filter((file) => /\.onnx$/i.test(file.name));
  const [only] = files;
  if (models.length > 1) return notOneModel(`These are ${models.length} ONNX files.`);
  // A lone file without the ending is sent: the studio says what is wrong with it.
  const model = models[0] ?? (files.length === 1 ? only : undefined);
  if (!model) return notOneModel("None of these files ends in .onnx.");
  return { model, data: files.filter((file) => file !== model) };
}

/** The name of the dimension whose size the studio wants to know; null when it complains of something else. */
export function openDimension({ code, details }: Problem): string | null {
  if (code !== "unbound_dimension") return null;
  const { symbol } = details;
  return typeof symbol === "string" ? symbol : null;
}

/** What is wrong with the file itself is so again; what lay on the way may be better the next time. */
const mayPass = ({ status }: Problem): boolean => status === 0 || status >= 500;

/** `added` is called with each network that was taken. */
export function useUpload(added: (model: ModelSummary) => void): Upload {
  const [state, setState] = useState<UploadState>({ kind: "idle" });
  /** Of what is on its way. */
  const abort = useRef<AbortController | null>(null);
  const isHere = useRef(true);
  useEffect(() => {
    isHere.current = true;
    return () => void (isHere.current = false);
  }, []);
  const post = useCallback((files: readonly File[], dims: Readonly<Record<string, number>>): void => {
    if (files.length === 0) return;
    if (abort.current) {
      tell("One network is on its way already.", "Drop the next one when it is there, or cancel that one.");
      return;
    }
    const sorted = sortFiles(files);
    if (sorted instanceof Problem) {
      setState({ kind: "failed", problem: sorted, free: null, again: null });
      return;
    }
    const form = new FormData();
    form.set("file", sorted.model);
    for (const file of sorted.data) form.append("data", file);
    if (Object.keys(dims).length > 0) form.set("dims", JSON.stringify(dims));
    const { name } = sorted.model;
    const control = new AbortController();
    abort.current = control;
    setState({ kind: "sending", name, share: 0 });
    postForm<ModelSummary>("/api/models", form, (share) => setState({ kind: "sending", name, share }), control.signal).then(
      (model) => {
        abort.current = null;
        void queryClient.invalidateQueries({ queryKey: ["models"] });
        setState({ kind: "idle" });
        // Who has gone elsewhere meanwhile stays there.
        if (isHere.current) added(model);
        else mention(`${model.name} is there`, "It is on the page of models.");
      },
      (error: unknown) => {
        abort.current = null;
        if (control.signal.aborted) {
          setState({ kind: "idle" });
          return;
        }
        const problem = asProblem(error);
        if (!isHere.current) tellProblem(problem);
        const symbol = openDimension(problem);
        const again = (size: number) => repeat.current(files, { ...dims, [symbol ?? ""]: size });
        setState({ kind: "failed", problem, free: symbol === null ? null : { symbol, send: again }, again: mayPass(problem) ? () => repeat.current(files, dims) : null });
      },
    );
  }, [added]);
  const repeat = useRef(post);
  const send = useCallback((files: readonly File[]) => post(files, {}), [post]);
  const cancel = useCallback(() => abort.current?.abort(), []);
  const reset = useCallback(() => setState({ kind: "idle" }), []);
  return useMemo(() => ({ state, send, cancel, reset }), [state, send, cancel, reset]);
}
