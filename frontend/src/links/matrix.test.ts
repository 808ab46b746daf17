import { describe, expect, it } from "vitest";
import type { LinkProfile } from "@/api/types";
import { describeRate, describeRoundTrip, matrixOf, unevenPairs } from "./matrix";

const plain = (text: string) => text.replaceAll("\u202f", " ");
const link = (source: string, target: string, more: Partial<LinkProfile> = {}): LinkProfile => ({
  source, target, bytes_per_s: 1e7, rtt_s: 0.005, rtt_min_s: 0.004, method: "measured", measured_at: "2026-01-01T10:00:00Z", ...more,
});

describe("the matrix of links", () => {
  it("holds every direction by itself, the studio among them", () => {
    const { names, rows } = matrixOf({ links: [link("a", "b")], failures: [], background_every_s: null }, ["a", "b"]);
    expect(names).toEqual(["studio", "a", "b"]);
    expect(rows[1]?.cells.map(({ kind }) => kind)).toEqual(["none", "self", "link"]);
    expect(rows[2]?.cells.map(({ kind }) => kind)).toEqual(["none", "none", "self"]);
  });
  it("shows the newer of a figure and a failure", () => {
    const failure = (at: string) => ({ source: "a", target: "b", reason: "no way", at });
    const at = (when: string) => matrixOf({ links: [link("a", "b")], failures: [failure(when)], background_every_s: null }, ["a", "b"]).rows[1]?.cells[2];
    expect(at("2026-01-01T11:00:00Z")).toMatchObject({ kind: "failed", reason: "no way", older: { source: "a" } });
    expect(at("2026-01-01T09:00:00Z")).toMatchObject({ kind: "link" });
  });
  it("names a pair whose directions differ by more than half, unless one was only seen in traffic", () => {
    const pairs = (back: Partial<LinkProfile>) => unevenPairs(matrixOf({ links: [link("a", "b"), link("b", "a", back)], failures: [], background_every_s: null }, ["a", "b"]));
    expect(pairs({ bytes_per_s: 7e6 })).toEqual([]);
    expect(pairs({ bytes_per_s: 6e6 }).map(({ slow, fast }) => [slow.source, fast.source])).toEqual([["b", "a"]]);
    expect(pairs({ bytes_per_s: 2e7 }).map(({ slow, fast }) => [slow.source, fast.source])).toEqual([["a", "b"]]);
    expect(pairs({ bytes_per_s: 1e6, method: "traffic" })).toEqual([]);
  });
  it("says that a rate seen in traffic is a lower bound, and what was not measured is a dash", () => {
    expect(plain(describeRate(link("a", "b")))).toBe("80.0 Mbit/s");
    expect(plain(describeRate(link("a", "b", { method: "traffic" })))).toBe("≥ 80.0 Mbit/s");
    expect(describeRoundTrip(link("a", "b", { rtt_s: null }))).toBe("–");
  });
});
