// @vitest-environment happy-dom
// @vitest-environment-options { "url": "http://studio.test/" }
import { act } from "react";
import { afterEach, expect, test, vi } from "vitest";
import type { Deployment, Model } from "@/api/types";
import { rendered } from "@/app/rendered";
import { planDocument } from "@/plan/content";
import { content } from "@/plan/samples";
import { openPlan } from "@/plan/store";
import { CLOSED, syncStore } from "@/plan/sync";
import { useDeploy } from "./useDeploy";

const MODEL = { id: "m", name: "net", digest: "d".repeat(64), simplified: false, dims: {} } as unknown as Model;

afterEach(() => {
  vi.unstubAllGlobals();
  syncStore.setState(CLOSED);
});

test("what is deployed again goes by the name of its own plan, whichever is open", async () => {
  const failed = { id: "d1", model_id: "m", epoch: 3, state: "failed", plan: planDocument(MODEL, content({ conv1: "a" })), plan_name: "Tuesday", retry_until: null, created_at: new Date().toISOString(), run: null, devices: [], stages: [] } as unknown as Deployment;
  const sent: { plan_name: string; plan: { placement: object } }[] = [];
  vi.stubGlobal("fetch", async (request: Request) => {
    sent.push((await request.json()) as (typeof sent)[number]);
    return Response.json({ ...failed, id: "d2", state: "deploying" });
  });
  openPlan(content({ conv1: "b" }));
  syncStore.setState({ plan: { id: 1, name: "Wednesday", revision: 1, updated_at: "" } });
  const hook = rendered(useDeploy, MODEL, { running: null, active: null, last: failed, loaded: true });
  await act(async () => {
    hook.now().retry(failed, null);
    await vi.waitFor(() => expect(sent).toHaveLength(1));
  });
  await act(async () => {
    hook.now().start();
    await vi.waitFor(() => expect(sent).toHaveLength(2));
  });
  expect(sent.map(({ plan_name, plan }) => [plan_name, plan.placement])).toEqual([
    ["Tuesday", { conv1: "a" }],
    ["Wednesday", { conv1: "b" }],
  ]);
  hook.end();
});
