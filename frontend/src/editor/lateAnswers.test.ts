// @vitest-environment happy-dom
// @vitest-environment-options { "url": "http://studio.test/" }
import { notifications } from "@mantine/notifications";
import { act } from "react";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { call, client } from "@/api/client";
import type { ImportedPlan, Model, Plan } from "@/api/types";
import { rendered } from "@/app/rendered";
import { planDocument } from "@/plan/content";
import { byRows, content } from "@/plan/samples";
import { changeRest, openPlan, planStore } from "@/plan/store";
import { CLOSED, closeSync, syncStore, type PlanInfo } from "@/plan/sync";
import { spreadEvenly } from "./spread";
import { useImport } from "./useImport";
import { useSplit } from "./useSplit";

const MODEL = { id: "m", name: "net", digest: "d".repeat(64), simplified: false, dims: {}, layers: [{ name: "conv1" }, { name: "conv2" }] } as unknown as Model;
const TOLD: Plan = planDocument(MODEL, content({ conv1: "a", conv2: "b" }));

/** What the studio was asked, answered when the test says so: with the bodies one after the other, and then with the last. */
let answers: (() => void)[];

const studio = (...bodies: unknown[]) => {
  let asked = 0;
  vi.stubGlobal("fetch", () => {
    const body = bodies[Math.min(asked++, bodies.length - 1)];
    return new Promise<Response>((resolve) => answers.push(() => resolve(Response.json(body))));
  });
};

/** Lets the studio answer, and the page take it in. */
const answer = () =>
  act(async () => {
    await vi.waitFor(() => expect(answers.length).toBeGreaterThan(0));
    for (const one of answers.splice(0)) one();
    await new Promise((resolve) => setTimeout(resolve, 5));
  });

const placement = () => planStore.getState().content.placement;
const opened = (id: number) => ({ plan: { id, name: `Plan ${id}`, revision: 1, updated_at: "" } satisfies PlanInfo });

beforeEach(() => {
  answers = [];
  openPlan(content({}));
  syncStore.setState(CLOSED);
});
afterEach(() => vi.unstubAllGlobals());

describe("spreading evenly", () => {
  it("leaves settings alone that were changed while the studio was asked", async () => {
    studio(TOLD);
    const done = spreadEvenly(MODEL, ["a", "b"]);
    changeRest({ ...planStore.getState().content.rest, max_change: 0.5 }, "Settings");
    await answer();
    await done;
    expect([placement(), planStore.getState().content.rest.max_change]).toEqual([{ conv1: "a", conv2: "b" }, 0.5]);
  });

  it("is not for another plan that was opened meanwhile, but for a new one that was saved", async () => {
    studio(TOLD);
    syncStore.setState(opened(1));
    const other = spreadEvenly(MODEL, ["a", "b"]);
    syncStore.setState(opened(2));
    await answer();
    await other;
    expect(placement()).toEqual({});
    syncStore.setState(CLOSED);
    const mine = spreadEvenly(MODEL, ["a", "b"]);
    syncStore.setState(opened(3));
    await answer();
    await mine;
    expect(placement()).toEqual({ conv1: "a", conv2: "b" });
  });

  it("is for no plan once the editor is left", async () => {
    studio(TOLD);
    const done = spreadEvenly(MODEL, ["a", "b"]);
    closeSync();
    await answer();
    await done;
    expect(placement()).toEqual({});
  });
});

describe("an import", () => {
  const body: ImportedPlan = { plan: TOLD, notes: [] } as unknown as ImportedPlan;
  const begin = () => {
    studio(body);
    const close = vi.fn();
    const hook = rendered(useImport, "a map", close);
    act(() => hook.now().send(call(client.POST("/api/models/{model_id}/plans/import-map", { params: { path: { model_id: "m" } }, body: { map: "{}", devices: {} } }))));
    return { hook, close };
  };

  it("takes the plan over", async () => {
    const { hook, close } = begin();
    expect(hook.now().busy).toBe(true);
    await answer();
    expect([placement(), close.mock.calls.length, hook.now().busy]).toEqual([{ conv1: "a", conv2: "b" }, 1, false]);
    hook.end();
  });

  it("whose dialog was closed meanwhile changes nothing", async () => {
    const { hook, close } = begin();
    hook.end();
    await answer();
    expect([placement(), close.mock.calls.length]).toEqual([{}, 0]);
  });
});

describe("a split", () => {
  const begin = (...bodies: unknown[]) => {
    studio(...bodies, { problems: [] });
    const hook = rendered(useSplit, MODEL, null);
    act(() => hook.now().send(byRows(["conv1"], ["a", "b"]), () => undefined));
    return hook;
  };

  it.each<[string, (hook: ReturnType<typeof begin>) => void, number]>([
    ["is done when the studio finds nothing new wrong", () => undefined, 1],
    ["is done as well when the person goes on meanwhile, with a press beside its form", (hook) => hook.end(), 1],
    ["that is called off while the studio is asked is not done", (hook) => act(() => hook.now().reset()), 0],
    [
      "is not for another network that was opened meanwhile",
      (hook) => {
        hook.end();
        closeSync();
        openPlan(content({ other: "a" }));
      },
      0,
    ],
  ])("%s", async (_, meanwhile, divisions) => {
    const hook = begin();
    meanwhile(hook);
    await answer();
    expect(planStore.getState().content.shards).toHaveLength(divisions);
    hook.end();
  });

  it("that is refused once its form is closed is told where the person is", async () => {
    const told = vi.spyOn(notifications, "show");
    const hook = begin({ problems: [] }, { problems: [{ severity: "error", code: "bad_shard", message: "conv1 cannot be split", layer: "conv1" }] });
    hook.end();
    await answer();
    expect(told.mock.calls.map(([{ title }]) => title)).toEqual(["Not split: conv1 cannot be split"]);
    expect(planStore.getState().content.shards).toHaveLength(0);
  });
});
