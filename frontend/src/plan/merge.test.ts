import { describe, expect, it } from "vitest";
import type { CodecChoice } from "@/api/types";
import { EMPTY, sameContent, sameValue, type Content } from "./content";
import { apply, assign, divide, replaceBy, undivide } from "./delta";
import { divisionsOf, whereabouts } from "./divisions";
import { agreed, merge } from "./merge";
import { replicate } from "./replicas";
import { byFilters, byRows, content } from "./samples";

/** The same numbers for the same seed, so that what fails can be seen again. */
function randomOf(seed: number): (below: number) => number {
  let state = seed;
  return (below) => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return Math.floor((state / 2 ** 32) * below);
  };
}

const LAYERS = ["a", "b", "c", "d", "e", "f", "g"];
const DEVICES = ["pi1", "pi2", "pi3"];

type Random = (below: number) => number;
const one = <T>(random: Random, items: readonly T[]): T => items[random(items.length)] as T;
const some = (random: Random): string[] => LAYERS.filter(() => random(3) === 0);
const codec = (producer: string, consumer: string, tensor: string, name: CodecChoice["codec"]): CodecChoice => ({ producer, consumer, tensors: [tensor], codec: name, low: 0, high: null });

function edited(start: Content, random: Random, steps: number): Content {
  let now = start;
  for (let i = 0; i < steps; i += 1) {
    const layers = some(random);
    if (layers.length === 0) continue;
    const rest = now.rest;
    const delta = [
      () => assign(now, layers, one(random, DEVICES), ""),
      () => assign(now, layers, null, ""),
      () => divide(now, byRows(layers, ["pi1", "pi2"], [1, 1 + random(3)]), ""),
      () => divide(now, byFilters(layers, DEVICES), ""),
      () => (now.shards.length > 0 ? undivide(now, random(now.shards.length), "") : null),
      () => replicate(now, layers, DEVICES.slice(random(2)), DEVICES, ""),
      () => replaceBy(now, { ...now, rest: { ...rest, micro_batch: 1 + random(3), notes: `note ${random(3)}` } }, ""),
      () => replaceBy(now, { ...now, rest: { ...rest, blocks: { ...rest.blocks, [`block${random(3)}`]: layers } } }, ""),
      () => replaceBy(now, { ...now, rest: { ...rest, codecs: [...rest.codecs.slice(random(2)), codec(one(random, DEVICES), one(random, DEVICES), `t${random(9)}`, one(random, ["lz4", "fp16"]))] } }, ""),
    ][random(9)]?.();
    if (delta) now = apply(now, delta);
  }
  return now;
}

const CASES = Array.from({ length: 600 }, (_, seed) => {
  const random = randomOf(seed * 7919 + 1);
  const base = edited(content(Object.fromEntries(LAYERS.map((layer) => [layer, one(random, DEVICES)]))), random, random(8));
  return { seed, base, mine: edited(base, random, random(4)), theirs: edited(base, random, random(4)) };
});

/** The same but for the order of divisions and codecs that have nothing to do with one another. */
function sayAlike(a: Content, b: Content): boolean {
  const sorted = (codecs: readonly CodecChoice[]) => codecs.map((choice) => JSON.stringify(choice)).sort();
  return LAYERS.every((layer) => whereabouts(a, layer) === whereabouts(b, layer)) && sameValue({ ...a.rest, codecs: sorted(a.rest.codecs) }, { ...b.rest, codecs: sorted(b.rest.codecs) });
}

describe("any edits of two windows", () => {
  it("of which one did nothing are those of the other", () => {
    for (const { seed, base, mine } of CASES) {
      for (const merged of [merge(base, mine, base), merge(base, base, mine), merge(base, mine, mine)]) {
        expect(merged.conflicts, `seed ${seed}`).toEqual([]);
        expect(sameContent(merged.content, mine), `seed ${seed}`).toBe(true);
      }
    }
  });

  it("come out alike in both windows where nothing contradicts", () => {
    let met = 0;
    for (const { seed, base, mine, theirs } of CASES) {
      const [here, there] = [merge(base, mine, theirs), merge(base, theirs, mine)];
      expect(here.conflicts.map(({ key }) => key).sort(), `seed ${seed}`).toEqual(there.conflicts.map(({ key }) => key).sort());
      if (here.conflicts.length > 0) continue;
      met += 1;
      expect(sayAlike(here.content, there.content), `seed ${seed}`).toBe(true);
    }
    expect(met).toBeGreaterThan(100);
  });

  it("leave each layer as one of the sides has it, and that of who changed it", () => {
    let both = 0;
    for (const { seed, base, mine, theirs } of CASES) {
      const { content: merged, conflicts } = merge(base, mine, theirs);
      const open = new Set(conflicts.flatMap(({ key, setting }) => (setting ? [] : key.slice("layers ".length).split("\n"))));
      for (const layer of LAYERS) {
        const [was, ours, other, now] = [base, mine, theirs, merged].map((one) => whereabouts(one, layer));
        expect([ours, other], `seed ${seed}, ${layer}`).toContain(now);
        if (ours !== was && other === was) expect(now, `seed ${seed}, ${layer}`).toBe(ours);
        if (other !== was && ours === was && !open.has(layer)) expect(now, `seed ${seed}, ${layer}`).toBe(other);
        if (ours !== was && other !== was && ours !== other) {
          expect(open.has(layer), `seed ${seed}, ${layer}`).toBe(true);
          both += 1;
        }
      }
    }
    expect(both).toBeGreaterThan(100);
  });

  it("give a plan that names only what it has, with no layer both divided and placed", () => {
    for (const { seed, base, mine, theirs } of CASES) {
      for (const side of ["mine", "theirs"] as const) {
        const { content: merged } = merge(base, mine, theirs, () => side);
        for (const layer of divisionsOf(merged.shards).keys()) expect(merged.placement[layer], `seed ${seed}`).toBeUndefined();
        const known = new Set([...DEVICES, ...Object.keys(merged.rest.replicas)]);
        expect(Object.values(merged.placement).filter((place) => !known.has(place)), `seed ${seed}`).toEqual([]);
      }
    }
  });

  it("lose neither side of what contradicts: whichever is chosen is there", () => {
    let met = 0;
    for (const { seed, base, mine, theirs } of CASES) {
      const kept = merge(base, mine, theirs, () => "mine");
      const taken = merge(base, mine, theirs, () => "theirs");
      for (const { layers } of kept.conflicts) {
        met += layers.length;
        for (const layer of layers) {
          expect(whereabouts(kept.content, layer), `seed ${seed}`).toBe(whereabouts(mine, layer));
          expect(whereabouts(taken.content, layer), `seed ${seed}`).toBe(whereabouts(theirs, layer));
        }
      }
    }
    expect(met).toBeGreaterThan(100);
  });

  it("merged once are merged: again it changes nothing, and from what is agreed on the same contradicts", () => {
    for (const { seed, base, mine, theirs } of CASES) {
      const first = merge(base, mine, theirs);
      const again = merge(base, first.content, theirs);
      expect(sayAlike(again.content, first.content), `seed ${seed}`).toBe(true);
      const after = merge(agreed(base, mine, theirs), first.content, theirs);
      expect(sayAlike(after.content, first.content), `seed ${seed}`).toBe(true);
      expect(after.conflicts.map(({ key }) => key).sort(), `seed ${seed}`).toEqual(first.conflicts.map(({ key }) => key).sort());
    }
  });
});

describe("edits that contradict", () => {
  const base = content({ a: "pi1", b: "pi1", c: "pi1" });

  it("are of one layer on two devices", () => {
    const { content: merged, conflicts } = merge(base, content({ a: "pi2", b: "pi2", c: "pi1" }), content({ a: "pi3", b: "pi1", c: "pi3" }));
    expect(conflicts.map(({ layers }) => layers)).toEqual([["a"]]);
    expect(merged.placement).toEqual({ a: "pi2", b: "pi2", c: "pi3" });
  });

  it("are divisions that overlap, with all of their layers", () => {
    const mine = content({ c: "pi1" }, [byRows(["a", "b"], ["pi1", "pi2"])]);
    const theirs = content({ a: "pi1" }, [byRows(["b", "c"], ["pi1", "pi2"])]);
    const taken = merge(base, mine, theirs, () => "theirs");
    expect(taken.conflicts.map(({ layers }) => layers)).toEqual([["a", "b", "c"]]);
    expect(sameContent(taken.content, theirs)).toBe(true);
    expect(sameContent(merge(base, mine, theirs).content, mine)).toBe(true);
  });

  it("are not divisions of different layers, nor different settings", () => {
    const mine = { ...content({ b: "pi1", c: "pi1" }, [byRows(["a"], ["pi1", "pi2"])]), rest: { ...EMPTY.rest, notes: "mine" } };
    const theirs = { ...content({ a: "pi1", c: "pi1" }, [byFilters(["b"], ["pi1", "pi2"])]), rest: { ...EMPTY.rest, micro_batch: 4 } };
    const { content: merged, conflicts } = merge(base, mine, theirs);
    expect(conflicts).toEqual([]);
    expect(merged).toMatchObject({ placement: { c: "pi1" }, rest: { notes: "mine", micro_batch: 4 } });
    expect(merged.shards.map(({ layers }) => layers[0]).sort()).toEqual(["a", "b"]);
  });

  it("are one setting with two values, and codecs of which neither says exactly what it is for", () => {
    const set = (rest: Partial<Content["rest"]>): Content => ({ ...base, rest: { ...base.rest, ...rest } });
    expect(merge(base, set({ micro_batch: 2 }), set({ micro_batch: 4 })).conflicts).toMatchObject([{ setting: { name: "micro_batch", entry: null } }]);
    const any = { ...codec("*", "*", "", "lz4"), tensors: [] };
    expect(merge(base, set({ codecs: [any] }), set({ codecs: [codec("pi1", "pi2", "t", "fp16")] })).conflicts).toMatchObject([{ setting: { name: "codecs" } }]);
    const exact = merge(base, set({ codecs: [codec("pi1", "pi2", "s", "lz4")] }), set({ codecs: [codec("pi1", "pi2", "t", "fp16")] }));
    expect(exact.conflicts).toEqual([]);
    expect(exact.content.rest.codecs).toHaveLength(2);
  });

  it("keep a group of replicas that one side no longer uses and the other does", () => {
    const group = { "replicas-1": { places: ["pi1", "pi2"] } };
    const grouped = { ...content({ a: "replicas-1", b: "pi1", c: "pi1" }), rest: { ...EMPTY.rest, replicas: group } };
    const { content: merged } = merge(grouped, content({ a: "pi1", b: "pi1", c: "pi1" }), { ...grouped, placement: { ...grouped.placement, b: "replicas-1" } });
    expect(merged).toMatchObject({ placement: { a: "pi1", b: "replicas-1" }, rest: { replicas: group } });
  });
});
