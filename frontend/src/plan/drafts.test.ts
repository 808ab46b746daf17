// @vitest-environment happy-dom
import { beforeEach, describe, expect, it } from "vitest";
import type { Model } from "@/api/types";
import { dropDraft, forgetDraft, keepDraft } from "./drafts";
import { readDrafts } from "./readDrafts";
import { content } from "./samples";

/** A browser's storage with so much room. */
class Room {
  private readonly items = new Map<string, string>();
  constructor(private readonly chars = Infinity) {}
  get length(): number {
    return this.items.size;
  }
  key = (index: number): string | null => [...this.items.keys()][index] ?? null;
  getItem = (key: string): string | null => this.items.get(key) ?? null;
  removeItem = (key: string): void => void this.items.delete(key);
  setItem = (key: string, text: string): void => {
    const held = [...this.items].reduce((sum, [other, value]) => sum + (other === key ? 0 : value.length), 0);
    if (held + text.length > this.chars) throw new DOMException("full", "QuotaExceededError");
    this.items.set(key, text);
  };
}

const model = (more: Partial<Model> = {}) =>
  ({ id: "abc", name: "net", digest: "a".repeat(64), simplified: false, dims: {}, layers: [{ name: "a" }, { name: "<b>" }], ...more }) as Model;
const draft = { planId: 7, name: "Plan", base: content({ a: "pi1" }), mine: content({ a: "pi2", "<b>": "pi2" }) };

describe("a draft", () => {
  beforeEach(() => window.localStorage.clear());

  it("says again what it was given, and is gone when the studio has it", () => {
    expect(keepDraft(model(), draft)).toEqual({ stored: true, lost: [] });
    expect(readDrafts(model())).toMatchObject({ drafts: [draft], broken: [] });
    dropDraft("abc", 7);
    expect(readDrafts(model()).drafts).toEqual([]);
  });

  it("is of its network in its form", () => {
    keepDraft(model(), draft);
    expect(readDrafts(model({ id: "abd" })).drafts).toEqual([]);
    expect(readDrafts(model({ simplified: true }))).toEqual({ drafts: [], broken: [] });
    expect(readDrafts(model()).drafts).toHaveLength(1);
  });

  it.each(["", "{", "[]", "null", '{"planId":1}', '{"planId":-1,"name":"x","at":1}', '{"planId":1,"name":"x","at":1,"base":{},"mine":{"placement":4}}'])("that is broken is told with its text: %s", (text) => {
    window.localStorage.setItem("studio-draft abc 7 x", text);
    expect(readDrafts(model())).toMatchObject({ drafts: [], broken: [{ text }] });
    forgetDraft("studio-draft abc 7 x");
    expect(readDrafts(model()).broken).toEqual([]);
  });

  it("of layers that the network does not have is told by the layer", () => {
    keepDraft(model(), { ...draft, mine: content({ elsewhere: "pi1" }) });
    expect(readDrafts(model()).broken[0]?.why).toContain("elsewhere");
  });

  it("takes the room of older ones where there is no other, and tells whose edits are gone", () => {
    const room = new Room(4000);
    const ids = Array.from({ length: 30 }, (_, i) => i + 1);
    const lost = ids.flatMap((id) => {
      const kept = keepDraft(model(), { ...draft, planId: id, name: `Plan ${id}` }, room);
      expect(kept.stored).toBe(true);
      return kept.lost;
    });
    const left = readDrafts(model(), room).drafts.map(({ name }) => name);
    expect(left).toContain("Plan 30");
    expect([...left, ...lost].sort()).toEqual(ids.map((id) => `Plan ${id}`).sort());
  });

  it("that has no room even without the others leaves them alone", () => {
    const room = new Room(4000);
    keepDraft(model(), draft, room);
    expect(keepDraft(model(), { ...draft, planId: 8, name: "x".repeat(4000) }, room)).toEqual({ stored: false, lost: [] });
    expect(readDrafts(model(), room).drafts).toMatchObject([draft]);
    expect(keepDraft(model(), draft, new Room(10))).toEqual({ stored: false, lost: [] });
  });

  it("is one of any number as long as there is room", () => {
    const room = new Room();
    for (let id = 1; id <= 50; id += 1) keepDraft(model(), { ...draft, planId: id }, room);
    expect(room.length).toBe(50);
  });
});
