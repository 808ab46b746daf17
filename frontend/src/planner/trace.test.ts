import { describe, expect, it } from "vitest";
import { answerSample } from "./samples";
import { plotTrace, traced, traceWords, type Sample } from "./trace";
import { formatValue } from "./words";

const found = (elapsed_s: number, value: number, bound: number) => ({ elapsed_s, answer: { ...answerSample, value, bound } });
const plain = (text: string) => text.replaceAll("\u202f", " ");

describe("the trace of a search", () => {
  it("takes a better plan and a better bound, and nothing that says the same again", () => {
    const first = traced([], found(0.5, 80, 120));
    expect(traced(first, found(1, 80, 120))).toBe(first);
    expect(traced([], { elapsed_s: 1, answer: null })).toEqual([]);
    const all = traced(traced(first, found(2, 80, 110)), found(3, 100, 110));
    expect(all).toEqual([{ at_s: 0.5, value: 80, bound: 120 }, { at_s: 2, value: 80, bound: 110 }, { at_s: 3, value: 100, bound: 110 }]);
  });
  it("stays bounded, keeps its first sample and its order", () => {
    let samples: readonly Sample[] = [];
    for (let i = 0; i < 1000; i += 1) samples = traced(samples, found(i, 10 + i, 5000));
    expect(samples.length).toBeLessThanOrEqual(200);
    expect([samples[0]?.at_s, samples.at(-1)?.at_s]).toEqual([0, 999]);
    expect(samples.every(({ at_s }, i) => i === 0 || at_s > (samples[i - 1]?.at_s ?? 0))).toBe(true);
  });
  it("is drawn in steps that last until the next change and until now", () => {
    const samples = [{ at_s: 0, value: 100, bound: 140 }, { at_s: 5, value: 120, bound: 130 }];
    const { value, between } = plotTrace(samples, 10, 200, 50);
    const places = value.slice(1).split("L").map((place) => place.split(" ").map(Number));
    expect(places.map(([x]) => x)).toEqual([0, 100, 100, 200]);
    expect(places[0]?.[1]).toBe(places[1]?.[1]);
    expect((places[2]?.[1] ?? 0) < (places[0]?.[1] ?? 0)).toBe(true);
    expect(between.endsWith("z")).toBe(true);
  });
  it("does not press the values together for a bound that was far away, and draws none where none is known", () => {
    const far = plotTrace([{ at_s: 0, value: 100, bound: 5000 }, { at_s: 1, value: 110, bound: 120 }], 2, 200, 50);
    expect(far.y.high).toBeLessThan(150);
    const unknown = plotTrace([{ at_s: 0, value: 100, bound: 1e8 }], 2, 200, 50);
    expect([unknown.bound, unknown.between]).toEqual(["", ""]);
    expect(plotTrace([], 0, 200, 50).value).toBe("");
  });
  it("is told in words", () => {
    expect(plain(traceWords([{ at_s: 0, value: 80, bound: 120 }, { at_s: 1, value: 100, bound: 110 }], "throughput", formatValue))).toBe(
      "Best plan 80.0 frames/s, later 100 frames/s, none beats 120 frames/s, later 110 frames/s",
    );
    expect(plain(traceWords([{ at_s: 0, value: 80, bound: 8e8 }], "throughput", formatValue))).toBe("Best plan 80.0 frames/s");
    expect(traceWords([], "latency", formatValue)).toBe("Nothing was found yet");
  });
});
