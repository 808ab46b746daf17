import { plannerStore } from "./store";
import { traced } from "./trace";
import type { Search } from "./types";

/** Keep what a search has found now in its trace. */
export function recordTrace(search: Search): void {
  const { traces } = plannerStore.getState();
  const old = traces[search.job] ?? [];
  const samples = traced(old, search);
  if (samples !== old) plannerStore.setState({ traces: { ...traces, [search.job]: samples } });
}
