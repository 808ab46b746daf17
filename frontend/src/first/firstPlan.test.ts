// @vitest-environment happy-dom
// @vitest-environment-options { "url": "http://studio.test/" }
import { afterEach, beforeEach, expect, it, vi } from "vitest";
import type { Model, Plan } from "@/api/types";
import { planDocument } from "@/plan/content";
import { FakeStudio } from "@/plan/fakeStudio";
import { content } from "@/plan/samples";
import { keepFirstPlan } from "./firstPlan";

const MODEL = { id: "m", name: "net", digest: "d".repeat(64) } as Model;
const onto = (device: string): Plan => planDocument(MODEL, content({ a: device }));
let studio: FakeStudio;

beforeEach(() => {
  studio = new FakeStudio(MODEL);
  vi.stubGlobal("fetch", studio.fetch);
});
afterEach(() => vi.unstubAllGlobals());

it("a try after one that failed leaves no other plan, also where the devices are others by then", async () => {
  const first = await keepFirstPlan("m", onto("pi1"));
  expect(await keepFirstPlan("m", onto("pi1"))).toEqual(first);
  expect(await keepFirstPlan("m", onto("pi2"))).toMatchObject({ id: first.id, revision: 2, plan: { placement: { a: "pi2" } } });
  expect([...studio.plans.values()].map(({ name }) => name)).toEqual(["First plan"]);
});

it("what somebody has edited since stays, and so does every other plan", async () => {
  const edited = studio.save(content({ a: "pi1" }), "First plan");
  studio.save(content({ a: "pi3" }), "First plan", edited.id);
  const other = studio.save(content({ a: "pi1" }), "Mine");
  expect((await keepFirstPlan("m", onto("pi1"))).id).not.toBe(edited.id);
  expect(studio.plans.get(edited.id)?.plan.placement).toEqual({ a: "pi3" });
  expect(studio.plans.get(other.id)).toEqual(other);
});
