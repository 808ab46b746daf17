import { describe, expect, it } from "vitest";
import type { CodecChoice } from "@/api/types";
import { CODEC_WORDS, withCodec } from "./codecChoice";
import { codecLabel, codecOf } from "./codecs";
import { EMPTY_REST, type Rest } from "./content";

const entry = (producer: string, consumer: string, codec: CodecChoice["codec"], tensors: string[] = []): CodecChoice => ({ producer, consumer, codec, tensors, low: 0, high: null });
const rest = (codecs: CodecChoice[], change: Partial<Rest> = {}): { rest: Rest } => ({ rest: { ...EMPTY_REST, codecs, ...change } });

describe("the codec of a tensor", () => {
  it("is what the last entry says that fits", () => {
    const plan = rest([entry("*", "*", "lz4"), entry("a", "b", "int8"), entry("a", "b", "none", ["t"])]);
    expect(codecOf(plan, ["a"], ["b"], "u")).toBe("int8");
    expect(codecOf(plan, ["a"], ["b"], "t")).toBe("none");
    expect(codecOf(plan, ["b"], ["a"], "t")).toBe("lz4");
  });
  it("follows the device of a resource, and the group of a replica", () => {
    const resources = { core0: { device: "a", cores: [0], processor: "" as const, provider: "" as const } };
    const plan = rest([entry("a", "pair", "fp16")], { resources, replicas: { pair: { places: ["b", "c"] } } });
    expect(codecOf(plan, ["core0"], ["c"], "t")).toBe("fp16");
    expect(codecOf(plan, ["b"], ["c"], "t")).toBe("none");
  });
  it("is told once for all tensors of an edge", () => {
    expect(codecLabel(rest([entry("*", "*", "zstd"), entry("*", "*", "none", ["t"])]), ["a"], ["b"], ["t", "u", "v"])).toBe("zstd");
  });
});

describe("choosing a codec", () => {
  const scope = { producer: "a", consumer: "b", tensors: [] };
  it("for a pair takes the place of what was said of it and of its tensors", () => {
    const before = rest([entry("a", "b", "lz4"), entry("a", "b", "fp16", ["t"]), entry("b", "c", "rle")]).rest;
    expect(withCodec(before, scope, "int8").codecs).toEqual([entry("b", "c", "rle"), entry("a", "b", "int8")]);
  });
  it("as it is leaves nothing behind where nothing else speaks", () => {
    expect(withCodec(rest([entry("a", "b", "lz4")]).rest, scope, "none").codecs).toEqual([]);
    const general = rest([entry("*", "*", "lz4")]).rest;
    expect(codecOf({ rest: withCodec(general, scope, "none") }, ["a"], ["b"], "t")).toBe("none");
  });
  it("of some tensors leaves the others alone", () => {
    const changed = withCodec(rest([entry("a", "b", "lz4")]).rest, { ...scope, tensors: ["t"] }, "fp16");
    expect(codecOf({ rest: changed }, ["a"], ["b"], "t")).toBe("fp16");
    expect(codecOf({ rest: changed }, ["a"], ["b"], "u")).toBe("lz4");
  });
  it("that clips keeps its bounds, and no other does", () => {
    const bounds = { low: 0.5, high: 6 };
    expect(withCodec(rest([]).rest, scope, "clip4+rle", bounds).codecs[0]).toMatchObject(bounds);
    expect(withCodec(rest([]).rest, scope, "int8", bounds).codecs[0]).toMatchObject({ low: 0, high: null });
  });
  it("offers each codec once", () => {
    expect(new Set(CODEC_WORDS.map(({ codec }) => codec)).size).toBe(CODEC_WORDS.length);
  });
});
