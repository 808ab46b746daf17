import { describe, expect, it } from "vitest";
import { fileName } from "./download";

describe("the name of a file", () => {
  it.each([
    ["ResNet-50", "ResNet-50"],
    ["Spread evenly, 3 boards", "Spread-evenly-3-boards"],
    ["../../etc/passwd", "etc-passwd"],
    [".hidden", "hidden"],
    ["a/b\\c:d*e?f", "a-b-c-d-e-f"],
    ["Café crème", "Cafe-creme"],
    ["<img src=x onerror=alert(1)>", "img-src-x-onerror-alert-1"],
    ["plan\u202egnp.exe", "plan-gnp.exe"],
    ["🙂🙂", "network"],
    ["", "network"],
    ["...", "network"],
  ])("%j is %s", (name, file) => {
    expect(fileName(name, "network")).toBe(file);
  });
  it("is never too long", () => {
    expect(fileName("x".repeat(300), "network")).toHaveLength(80);
  });
});
