/** What is searched for: one search for the graph, the table and the pictures. */
import { useStore } from "zustand";
import { createStore } from "zustand/vanilla";
import { insist } from "@/app/insist";
import type { Parsed, parseQuery, QueryProblem } from "@/graph/query";
import { useView, viewStore } from "./view";

export type Query = Exclude<Parsed, { problem: QueryProblem }>;

interface Find {
  text: string;
  /** What is wrong with the text; the last good query holds meanwhile. */
  problem: QueryProblem | null;
  /** Null: nothing is searched for. */
  query: Query | null;
  /** Which of the hits was gone to last; -1: none yet. */
  place: number;
  /** Whether the box has the focus. */
  typing: boolean;
  /** Whether the text waits for the language to arrive. */
  unread: boolean;
}

const NOTHING: Find = { text: "", problem: null, query: null, place: -1, typing: false, unread: false };

export const findStore = createStore<Find>()(() => NOTHING);
export const useFind = <T>(select: (find: Find) => T): T => useStore(findStore, select);

let parse: typeof parseQuery | null = null;

/** The language is fetched when somebody begins to search. */
async function wakeLanguage(): Promise<void> {
  parse ??= (await insist(() => import("@/graph/query"))).parseQuery;
}

findStore.subscribe(({ typing }, before) => {
  if (typing && !before.typing) void wakeLanguage();
});

export function ask(text: string): void {
  if (!parse) {
    findStore.setState({ text, unread: true });
    void wakeLanguage().then(() => ask(findStore.getState().text));
    return;
  }
  const parsed = parse(text);
  if (parsed.problem) findStore.setState({ text, problem: parsed.problem, unread: false });
  else findStore.setState({ text, problem: null, query: parsed.isEmpty ? null : parsed, place: -1, unread: false });
}

export function forgetFind(): void {
  findStore.setState(NOTHING);
  viewStore.setState({ hits: new Set(), onlyHits: false });
}

/** Whether all but the hits is faint now. */
export function useDims(): boolean {
  const wanted = useView((view) => view.onlyHits);
  const searched = useFind(({ query }) => query !== null);
  return wanted && searched;
}
