import { expect, it } from "vitest";
import type { Job } from "@/api/types";
import { searchesOf, stillGoing } from "./useSearch";

const search = (id: string, more: Partial<Job> = {}): Job => ({
  id, kind: "search", title: "Search", devices: [], model_id: "m", state: "running", step: "", done: 0, total: null, unit: "steps",
  started_at: "2026-01-01T00:00:00Z", ended_at: null, problem: null, warnings: [], ...more,
});
const told = (jobs: readonly Job[]) => jobs.map(({ id, state }) => `${id} ${state}`);

it("searches that the studio forgot while they went on have ended with it, and stand behind the newer ones", () => {
  const jobs = [search("b"), search("other network's", { model_id: "n" }), search("profile", { kind: "profile" }), search("a", { state: "done" })];
  const seen = stillGoing([], jobs);
  expect(told(seen)).toEqual(["b running", "other network's running"]);
  expect(told(searchesOf(jobs, seen, "m"))).toEqual(["b running", "a done"]);
  expect(told(searchesOf(undefined, seen, "m"))).toEqual([]);
  expect(told(searchesOf([search("c")], seen, "m"))).toEqual(["c running", "b failed"]);
  expect(stillGoing(seen, [])).toBe(seen);
});

it("a search that ended as it should is not one of them", () => {
  const seen = stillGoing([search("a")], [search("a", { state: "cancelled" })]);
  expect(seen).toEqual([]);
  expect(searchesOf([], seen, "m")).toEqual([]);
});
