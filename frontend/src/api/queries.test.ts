// @vitest-environment happy-dom
import { QueryObserver } from "@tanstack/react-query";
import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { jobsQuery, queryClient, rememberJob } from "./queries";
import type { Job } from "./types";

const job: Job = {
  id: "j1", kind: "profile", title: "Profile digits on pi1", devices: ["pi1"], model_id: "m", state: "running", step: "layer 3",
  done: 3, total: 12, unit: "steps", started_at: "2026-01-01T00:00:00Z", ended_at: null, problem: null, warnings: [],
};
const ended: Job = { ...job, state: "done", done: 1 };

/** What was asked, each to be answered by the test. */
let asked: ((jobs: Job[]) => void)[] = [];

beforeEach(() => {
  asked = [];
  vi.stubGlobal("fetch", () => new Promise((answer) => asked.push((jobs) => answer(Response.json(jobs)))));
});

afterEach(() => {
  queryClient.clear();
  vi.unstubAllGlobals();
});

const state = (): Job["state"] | undefined => queryClient.getQueryData(jobsQuery.queryKey)?.[0]?.state;

test("an answer that was on its way when a newer state was heard does not stay in its place", async () => {
  const off = new QueryObserver(queryClient, jobsQuery).subscribe(() => undefined);
  await vi.waitFor(() => expect(asked).toHaveLength(1));
  rememberJob(ended);
  rememberJob(ended);
  expect(state()).toBe("done");
  asked[0]?.([job]);
  await vi.waitFor(() => expect(asked).toHaveLength(2));
  asked[1]?.([ended]);
  await vi.waitFor(() => expect(state()).toBe("done"));
  await new Promise((over) => setTimeout(over, 20));
  expect(asked).toHaveLength(2);
  off();
});

test("what is heard while nothing is on its way is not asked for", async () => {
  const off = new QueryObserver(queryClient, jobsQuery).subscribe(() => undefined);
  await vi.waitFor(() => expect(asked).toHaveLength(1));
  asked[0]?.([job]);
  await vi.waitFor(() => expect(state()).toBe("running"));
  rememberJob(ended);
  await new Promise((over) => setTimeout(over, 20));
  expect([state(), asked.length]).toEqual(["done", 1]);
  off();
});
