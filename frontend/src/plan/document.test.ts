import { describe, expect, it } from "vitest";
import type { Layer } from "@/api/types";
import { readPlan } from "./document";

const layer = (name: string): Layer => ({
  name, op_type: "Conv", inputs: [], outputs: [], output_shape: [], macs: 0, parameters: 0, weight_bytes: 0, activation_bytes: 0, attributes: {},
});
const model = { digest: "d".repeat(64), name: "digits", layers: [layer("a"), layer("b")] };
const plan = (change: object) => JSON.stringify({ version: 1, network: { sha256: model.digest, name: "digits" }, placement: { a: "pi1" }, ...change });

describe("a plan document", () => {
  it("gives its placement", () => {
    expect(readPlan(plan({}), model)).toEqual({ placement: { a: "pi1" } });
  });
  it.each([
    ["no JSON", "{", "no JSON"],
    ["a list", "[]", "no plan document"],
    ["another version", plan({ version: 2 }), "version 1"],
    ["another network", plan({ network: { sha256: "e".repeat(64), name: "resnet" } }), "another network (resnet)"],
    ["an unknown layer", plan({ placement: { z: "pi1" } }), "no layer z"],
    ["a device that is no name", plan({ placement: { a: 3 } }), "device of a"],
  ])("is refused with the reason: %s", (_, text, reason) => {
    const answer = readPlan(text, model);
    expect("problem" in answer ? answer.problem : "").toContain(reason);
  });
});
