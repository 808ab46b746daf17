import { describe, expect, it } from "vitest";
import { formatAgo, formatBits, formatBytes, formatCount, formatDuration, formatFps, formatPercent, formatReal, formatWhole, plural } from "./format";

const plain = (text: string) => text.replaceAll("\u202f", " ");

describe("numbers for people", () => {
  it.each([[0, "0 B"], [999, "999 B"], [1000, "1.00 KB"], [999_999, "1.00 MB"], [25_500_000, "25.5 MB"]])("%d bytes", (bytes, text) => {
    expect(plain(formatBytes(bytes))).toBe(text);
  });
  it.each([[12, "12"], [4_100_000_000, "4.10 G"]])("%d things", (count, text) => {
    expect(plain(formatCount(count))).toBe(text);
  });
  it("counts to the last one keep their thousands apart", () => {
    expect([0, 999, 10_000, 1_234_567].map((count) => plain(formatWhole(count)))).toEqual(["0", "999", "10 000", "1 234 567"]);
    expect([plural(1, "layer"), plain(plural(10_000, "layer"))]).toEqual(["1 layer", "10 000 layers"]);
  });
  it.each([[0.0032, "3.20 ms"], [0.085, "85.0 ms"], [0.85, "850 ms"], [4.14, "4.1 s"], [125, "2:05"]])("%d seconds", (seconds, text) => {
    expect(plain(formatDuration(seconds))).toBe(text);
  });
  it.each([[0, "0 %"], [0.0002, "<0.1 %"], [0.0034, "0.3 %"], [0.0096, "1 %"], [0.876, "88 %"]])("a share of %d: something is not nothing", (share, text) => {
    expect(plain(formatPercent(share))).toBe(text);
  });
  it.each([[0, "0"], [-127, "\u2212127"], [0.031_24, "0.0312"], [-1.23e-7, "\u22121.2e\u22127"], [4.5e8, "4.5e8"], [-0.5, "\u22120.5"]])("%d, of no unit", (value, text) => {
    expect(formatReal(value)).toBe(text);
  });
  it("frames per second", () => {
    expect([3.1, 42.25, 812.4].map(formatFps)).toEqual(["3.10", "42.3", "812"]);
  });
  it("rates of links are in bits", () => {
    expect(plain(formatBits(11_762_500))).toBe("94.1 Mbit/s");
  });
  it.each([[3, "just now"], [42, "42 s ago"], [185, "3 min ago"], [7300, "2 h ago"]])("%d seconds ago", (seconds, text) => {
    const now = Date.parse("2026-01-02T00:00:00Z");
    expect(formatAgo(new Date(now - seconds * 1000).toISOString(), now)).toBe(text);
  });
});
