import { describe, expect, it } from "vitest";
import { shorten, splitName } from "./shorten";

describe("Long names", () => {
  it("keep both ends", () => {
    expect(shorten("conv1")).toBe("conv1");
    expect(shorten("features.denseblock3.denselayer17.conv2")).toMatch(/^features\.d….*17\.conv2$/);
    expect(shorten("features.denseblock3.denselayer17.conv2")).toHaveLength(26);
  });

  it.each([16, 17, 18, 19, 60])("fall apart into no half letters, with %i in front", (count) => {
    const name = `${"🙂".repeat(30)}${"x".repeat(count)}${"🙂".repeat(30)}`;
    const isWhole = (text: string): boolean => text.isWellFormed();
    for (let most = 20; most < 40; most += 1) expect(isWhole(shorten(name, most))).toBe(true);
    expect(splitName(name)?.every(isWhole)).toBe(true);
    expect(splitName(`x${name}`)?.every(isWhole)).toBe(true);
  });

  it("from right to left are whole: their end is on the left", () => {
    expect(splitName("שכבה ראשונה של הרשת הארוכה")).toBeNull();
  });

  it("are split into what may be left out and an end that is shown; short ones are whole", () => {
    expect(splitName("conv1")).toBeNull();
    expect(splitName("features.denseblock3.conv2")?.join("")).toBe("features.denseblock3.conv2");
    expect(splitName("x".repeat(10_000))?.join("").length).toBeLessThan(200);
  });
});
