/** Pictures of what went in: the model's samples by address, uploaded files by object URLs that end with the next run. */
import type { Model, Run } from "@/api/types";

let owner: string | null = null;
const urls = new Map<string, string>();

const PICTURE = /^image\//;

export function rememberFiles(runId: string, files: readonly File[]): void {
  for (const url of urls.values()) URL.revokeObjectURL(url);
  urls.clear();
  owner = runId;
  for (const file of files) if (PICTURE.test(file.type)) urls.set(file.name, URL.createObjectURL(file));
}

export function thumbnailOf(model: Pick<Model, "id" | "samples">, run: Pick<Run, "id" | "source">, input: string): string | null {
  if (run.source === "samples" && model.samples.includes(input)) return `/api/models/${encodeURIComponent(model.id)}/samples/${encodeURIComponent(input)}`;
  if (run.source === "files" && owner === run.id) return urls.get(input) ?? null;
  return null;
}
