import { describe, expect, it } from "vitest";
import type { Device, ModelSummary } from "@/api/types";
import { localNames } from "@/devices/address";
import { nameThem, progressOf } from "./steps";

const model = { id: "m" } as ModelSummary;
const device = (name: string, state: Device["state"] = "ready") => ({ name, state }) as Device;

describe("the first steps", () => {
  it("go from a network over devices to the deployment", () => {
    expect(progressOf([], []).states).toEqual(["now", "later", "later"]);
    expect(progressOf([model], []).states).toEqual(["done", "now", "later"]);
    expect(progressOf([model], [device("a")]).states).toEqual(["done", "now", "later"]);
    expect(progressOf([model], [device("a"), device("b")]).states).toEqual(["done", "done", "now"]);
    expect(progressOf([], [device("a"), device("b")]).states).toEqual(["now", "done", "later"]);
  });
  it("count devices that can serve alone", () => {
    expect(progressOf([model], [device("a"), device("b", "cannot"), device("c", "unreachable")]).usable.map(({ name }) => name)).toEqual(["a"]);
  });
  it("name processes on this machine as nobody is named", () => {
    expect(localNames(["local-1", "x"], 2)).toEqual(["local-2", "local-3"]);
    expect(nameThem(["a", "b"])).toBe("a and b");
    expect(nameThem(["a", "b", "c", "d"])).toBe("a, b and 2 more");
  });
});
