// @vitest-environment happy-dom
// @vitest-environment-options { "url": "http://studio.test/" }
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import type { Model } from "@/api/types";
import { contentOf, type Content } from "./content";
import { keepDraft } from "./drafts";
import { FakeStudio } from "./fakeStudio";
import { PlanKeeper } from "./keeper";
import { noticeNow } from "./notice";
import { readDrafts } from "./readDrafts";
import { content } from "./samples";
import { assignLayers, openPlan, planStore, undo } from "./store";
import { syncStore } from "./sync";

const MODEL = { id: "m", name: "net", digest: "d".repeat(64), simplified: false, dims: {}, layers: ["a", "b", "c"].map((name) => ({ name })) } as unknown as Model;

const now = (): Content["placement"] => planStore.getState().content.placement;
const sync = () => syncStore.getState();
const become = (state: string) => vi.waitFor(() => expect(sync().state).toBe(state), { timeout: 8000 });

describe("the keeper of a plan", () => {
  let studio: FakeStudio;
  let keeper: PlanKeeper;
  const saved = (id: number): Content["placement"] | undefined => studio.plans.get(id)?.plan.placement;

  /** As a new page would find it. */
  async function openPage(wanted: number | null = null): Promise<void> {
    keeper = new PlanKeeper(MODEL, wanted);
    keeper.open();
    await vi.waitFor(() => expect(sync().plan !== null || sync().state === "saved").toBe(true));
  }

  /** With one saved plan, which is open then. */
  async function openSaved(): Promise<void> {
    studio.save(content({ a: "pi1" }));
    await openPage();
  }

  /** An edit of the first plan whose saving is on its way until what is returned is called. */
  async function beginSaving(): Promise<() => void> {
    const go = studio.hold(/^PUT/);
    assignLayers(["a"], "pi2");
    await vi.waitFor(() => expect(studio.log).toContain("PUT /api/plans/1"));
    return go;
  }

  beforeEach(() => {
    window.localStorage.clear();
    openPlan(content({}));
    studio = new FakeStudio(MODEL);
    vi.stubGlobal("fetch", studio.fetch);
  });
  afterEach(() => {
    keeper.close();
    vi.unstubAllGlobals();
  });

  it("saves an edit that was made while the one before was on its way, when it is closed then", async () => {
    await openSaved();
    const go = await beginSaving();
    assignLayers(["b"], "pi2");
    keeper.close();
    openPlan(content({ c: "another network's" }));
    go();
    await vi.waitFor(() => expect(saved(1)).toEqual({ a: "pi2", b: "pi2" }));
    await vi.waitFor(() => expect(readDrafts(MODEL).drafts).toEqual([]));
  });

  it("keeps such an edit in this browser where the studio goes away before it", async () => {
    await openSaved();
    const go = await beginSaving();
    assignLayers(["b"], "pi2");
    const stop = studio.hold(/^PUT/);
    keeper.close();
    go();
    await vi.waitFor(() => expect(studio.log.filter((line) => line.startsWith("PUT"))).toHaveLength(2));
    studio.away = true;
    stop();
    expect(readDrafts(MODEL).drafts).toMatchObject([{ planId: 1, base: { placement: { a: "pi2" } }, mine: { placement: { a: "pi2", b: "pi2" } } }]);
  });

  it("saves what is done while a new plan is made into the plan in which it was done", async () => {
    await openSaved();
    const go = studio.hold(/^POST/);
    const made = keeper.createFrom(content({}), "New");
    await vi.waitFor(() => expect(studio.log).toContain("POST /api/models/m/plans"));
    assignLayers(["b"], "pi3");
    go();
    expect(await made).toBe(2);
    expect(sync().plan?.id).toBe(2);
    expect([now(), saved(1), saved(2)]).toEqual([{}, { a: "pi1", b: "pi3" }, {}]);
  });

  it("has this browser keep an edit that the studio takes long to save, until it has it", async () => {
    await openSaved();
    const go = studio.hold(/^PUT/);
    assignLayers(["a"], "pi2");
    await vi.waitFor(() => expect(readDrafts(MODEL).drafts).toMatchObject([{ mine: { placement: { a: "pi2" } } }]), { timeout: 8000 });
    expect(sync().state).toBe("saving");
    go();
    await become("saved");
    expect([saved(1), readDrafts(MODEL).drafts]).toEqual([{ a: "pi2" }, []]);
  });

  it("takes its notices along: what they undo is not under the hand any more", async () => {
    await openSaved();
    studio.save(content({ a: "pi2" }), "Plan", 1);
    await keeper.heard();
    expect(noticeNow()?.text).toContain("another window");
    keeper.close();
    expect(noticeNow()).toBeNull();
  });

  it("opens the plan that was wanted last, whichever answers first", async () => {
    for (const device of ["pi1", "pi2", "pi3"]) studio.save(content({ a: device }));
    await openPage();
    const go = studio.hold(/^GET .*plans\/1$/);
    const first = keeper.switchTo(1);
    await keeper.switchTo(2);
    go();
    await first;
    expect([sync().plan?.id, now()]).toEqual([2, { a: "pi2" }]);
  });

  it("saves nothing of what was open before as long as the plan is not there", async () => {
    openPlan(content({ x: "another network's" }));
    const go = studio.hold(/^GET .*plans$/);
    keeper = new PlanKeeper(MODEL);
    keeper.open();
    await keeper.createFrom(content({ a: "pi1" }), "New");
    go();
    await become("saved");
    expect([...studio.plans.values()].map(({ plan }) => plan.placement)).toEqual([{ a: "pi1" }]);
    expect(readDrafts(MODEL)).toEqual({ drafts: [], broken: [] });
  });

  it("names a plan anew that another window has saved meanwhile, with what that one did", async () => {
    await openSaved();
    studio.save(content({ a: "pi1", b: "pi2" }), "Plan", 1);
    await keeper.rename("Night");
    expect(studio.plans.get(1)).toMatchObject({ name: "Night", revision: 3 });
    expect(now()).toEqual({ a: "pi1", b: "pi2" });
  });

  describe("with drafts of the plan", () => {
    /** What an earlier page load left: its keys are of another window. */
    function left(name: string, base: Content, mine: Content, at: number): void {
      keepDraft(MODEL, { planId: 1, name: "Plan", base, mine });
      const key = Object.keys(window.localStorage).find((one) => one.startsWith("studio-draft m 1 ") && !/ w\d$/.test(one)) ?? "";
      const text = (window.localStorage.getItem(key) ?? "").replace(/"at":\d+/, `"at":${at}`);
      window.localStorage.removeItem(key);
      window.localStorage.setItem(`studio-draft m 1 ${name}`, text);
    }

    it("puts those together that do not contradict", async () => {
      studio.save(content({ a: "pi1" }));
      left("w1", content({ a: "pi1" }), content({ a: "pi2" }), 1);
      left("w2", content({ a: "pi1" }), content({ a: "pi1", b: "pi2" }), 2);
      await openPage();
      await vi.waitFor(() => expect(saved(1)).toEqual({ a: "pi2", b: "pi2" }));
      await vi.waitFor(() => expect(window.localStorage).toHaveLength(0));
    });

    it("has one that contradicts a newer one wait for it, and then asks which stands", async () => {
      studio.save(content({ a: "pi1" }));
      left("w1", content({ a: "pi1" }), content({ a: "pi2", b: "pi2" }), 1);
      left("w2", content({ a: "pi1" }), content({ a: "pi3" }), 2);
      await openPage();
      expect([now(), sync().waiting]).toEqual([{ a: "pi3" }, 1]);
      await become("conflict");
      expect(saved(1)).toEqual({ a: "pi3" });
      expect(sync()).toMatchObject({ waiting: 0, conflict: { keptAt: 1, conflicts: [{ layers: ["a"] }] } });
      expect(now()).toEqual({ a: "pi2", b: "pi2" });
      // A page that is closed now has lost nothing.
      expect(readDrafts(MODEL).drafts).toMatchObject([{ mine: { placement: { a: "pi2", b: "pi2" } } }]);
      keeper.resolve(() => "theirs");
      await vi.waitFor(() => expect(saved(1)).toEqual({ a: "pi3", b: "pi2" }));
      undo();
      expect(now()).toEqual({ a: "pi2", b: "pi2" });
    });

    it("that contradict the plan and one another are asked about one after the other", async () => {
      studio.save(content({ a: "pi9" }));
      left("w1", content({ a: "pi1" }), content({ a: "pi2" }), 1);
      left("w2", content({ a: "pi1" }), content({ a: "pi3" }), 2);
      await openPage();
      expect(sync()).toMatchObject({ state: "conflict", waiting: 1, conflict: { keptAt: 2 } });
      keeper.resolve(() => "theirs");
      expect(sync()).toMatchObject({ state: "conflict", waiting: 0, conflict: { keptAt: 1 } });
      keeper.resolve(() => "mine");
      await vi.waitFor(() => expect(saved(1)).toEqual({ a: "pi2" }));
      await vi.waitFor(() => expect(window.localStorage).toHaveLength(0));
    });
  });

  it("gives edits that contradict back when their plan is opened again", async () => {
    await openSaved();
    studio.save(content({ b: "pi1" }));
    const go = await beginSaving();
    studio.save(content({ a: "pi3" }), "Plan", 1);
    go();
    await become("conflict");
    await keeper.switchTo(2);
    expect([now(), sync().state]).toEqual([{ b: "pi1" }, "saved"]);
    await keeper.switchTo(1);
    expect([now(), sync().state]).toEqual([{ a: "pi2" }, "conflict"]);
  });

  describe("of a plan that was removed elsewhere", () => {
    beforeEach(async () => {
      await openSaved();
      studio.remove(1);
      await keeper.heard();
      expect(sync()).toMatchObject({ state: "gone", gone: "plan" });
      assignLayers(["b"], "pi2");
    });

    it("brings it back under its id, with what was done since", async () => {
      await keeper.saveAgain();
      await vi.waitFor(() => expect(saved(1)).toEqual({ a: "pi1", b: "pi2" }));
      await become("saved");
      expect([studio.plans.size, readDrafts(MODEL).drafts]).toEqual([1, []]);
    });

    it("goes on when another window brings it back", async () => {
      studio.save(contentOf((studio.removed.get(1) ?? studio.save(content({}))).plan), "Plan", 1);
      await keeper.heard();
      await vi.waitFor(() => expect(saved(1)).toEqual({ a: "pi1", b: "pi2" }));
      expect(sync().gone).toBeNull();
    });

    it("saves it as another one where the studio cannot give it back, and leaves no draft behind", async () => {
      studio.removed.clear();
      await keeper.saveAgain();
      await vi.waitFor(() => expect(saved(2)).toEqual({ a: "pi1", b: "pi2" }));
      await become("saved");
      expect(window.localStorage).toHaveLength(0);
    });
  });
});
