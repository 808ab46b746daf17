/** What is done to networks from several places. */
import { call, client } from "@/api/client";
import { queryClient } from "@/api/queries";
import type { ModelSummary } from "@/api/types";

export function modelsChanged(): Promise<unknown> {
  return Promise.all(["models", "examples"].map((key) => queryClient.invalidateQueries({ queryKey: [key] })));
}

/** Add an example; one that is there already is returned as it is. Throws a Problem. */
export async function addExample(id: string): Promise<ModelSummary> {
  const model = await call(client.POST("/api/examples/{example_id}", { params: { path: { example_id: id } } }));
  await modelsChanged();
  return model;
}
