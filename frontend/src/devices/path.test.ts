import { describe, expect, it } from "vitest";
import type { Device, Links } from "@/api/types";
import { pathOf, peersOf } from "./path";

const states = (state: Device["state"], profiles = 0, peers = 0) => pathOf({ state, check: null }, profiles, peers).map((milestone) => milestone.state);

describe("the way of a device", () => {
  it("has one next step, in order", () => {
    expect(states("unknown")).toEqual(["done", "next", "later", "later"]);
    expect(states("ready")).toEqual(["done", "done", "next", "later"]);
    expect(states("limited", 1)).toEqual(["done", "done", "done", "next"]);
    expect(states("ready", 1, 2)).toEqual(["done", "done", "done", "done"]);
    expect(states("ready", 0, 2)).toEqual(["done", "done", "next", "done"]);
  });
  it("goes no further than a check that failed", () => {
    expect(states("cannot")).toEqual(["done", "wrong", "later", "later"]);
    expect(states("unreachable", 1)).toEqual(["done", "wrong", "done", "later"]);
  });
  it("counts peers of measured links, not what frames happened to show", () => {
    const link = (source: string, target: string, method: "measured" | "traffic" | "background") => ({ source, target, method }) as Links["links"][number];
    expect(peersOf({ links: [link("a", "b", "measured"), link("b", "a", "background"), link("a", "c", "traffic"), link("c", "b", "measured")] }, "a")).toBe(1);
    expect(peersOf(undefined, "a")).toBe(0);
  });
});
