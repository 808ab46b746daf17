/** The layers as rows, while something asks for them; and which of them are hits of the search. */
import { useCallback, useEffect, useMemo } from "react";
import type { Model } from "@/api/types";
import type { FoldTree } from "@/graph/folds";
import type { Network } from "@/graph/network";
import { useShownPlan } from "@/plan/preview";
import { useCosts } from "@/profiles/costs";
import { rowsOf, rowSource, type LayerRow } from "@/table/rows";
import { forgetFind, useFind } from "./find";
import { useView, viewStore } from "./view";

export interface Finding {
  /** Null while nothing asks for them. */
  rows: readonly LayerRow[] | null;
  /** Made when nothing has asked before. */
  rowsNow: () => readonly LayerRow[];
  /** In the order of the network. */
  hits: readonly number[];
}

const NONE: readonly number[] = [];

export function useFinding(model: Model, network: Network, tree: FoldTree): Finding {
  const wanted = useView(({ mode }) => mode === "table");
  const asked = useFind(({ typing, query }) => typing || query !== null);
  const query = useFind((find) => find.query);
  const content = useShownPlan((whole) => whole);
  const costs = useCosts();
  const troubles = useView((view) => view.troubles);
  const source = useMemo(() => rowSource(model, network, tree), [model, network, tree]);
  const isOn = wanted || asked;
  const rows = useMemo(() => (isOn ? rowsOf(source, content, costs, troubles) : null), [isOn, source, content, costs, troubles]);
  const rowsNow = useCallback(() => rows ?? rowsOf(source, content, costs, troubles), [rows, source, content, costs, troubles]);
  const hits = useMemo(() => (rows && query ? rows.flatMap((row) => (query.matches(row) ? [row.node] : [])) : NONE), [rows, query]);
  useEffect(() => {
    if (hits.length > 0 || viewStore.getState().hits.size > 0) viewStore.setState({ hits: new Set(hits) });
  }, [hits]);
  useEffect(() => forgetFind, []);
  return { rows, rowsNow, hits };
}

/** Whether the search or the table asks what layers cost on profiled devices. */
export function useAsksCosts(): boolean {
  const table = useView(({ mode }) => mode === "table");
  const searched = useFind(({ query, typing }) => typing || query?.fields.has("seconds") === true || query?.fields.has("joules") === true);
  return table || searched;
}
