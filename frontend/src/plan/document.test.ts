import { describe, expect, it } from "vitest";
import { EMPTY_REST, planDocument } from "./content";
import { readPlan } from "./document";
import { byRows, content } from "./samples";

const model = { digest: "d".repeat(64), name: "digits", layers: [{ name: "a" }, { name: "b" }] };
const network = { sha256: model.digest, name: "digits" };
const plan = (change: object) => JSON.stringify({ version: 1, network, placement: { a: "pi1" }, ...change });

describe("a plan document", () => {
  it("of version 1 is read", () => {
    expect(readPlan(plan({ name: "mine" }), model)).toEqual({ content: content({ a: "pi1" }, [], "mine") });
  });
  it("of version 2 comes back as it was saved, with everything in it", () => {
    const whole = { ...content({ b: "pi1" }, [byRows(["a"], ["pi1", "pi2"])]), rest: { ...EMPTY_REST, blocks: { front: ["a", "b"] }, name: "mine", notes: "n", resources: { pi1: { device: "pi1", cores: [0], processor: "cpu" as const, provider: "" as const } } } };
    const text = JSON.stringify(planDocument(model, whole));
    expect(JSON.parse(text)).toMatchObject({ version: 2, network: { ...network, simplified: false, dims: {} } });
    expect(readPlan(text, model)).toEqual({ content: whole });
  });
  it("may leave out most of a codec", () => {
    const reading = readPlan(plan({ version: 2, codecs: [{ codec: "lz4" }] }), model);
    expect("content" in reading && reading.content.rest.codecs).toEqual([{ codec: "lz4", producer: "*", consumer: "*", tensors: [], low: 0, high: null }]);
    expect(readPlan(plan({ version: 2, codecs: ["lz4"] }), model)).toHaveProperty("problem");
  });
  it("may leave out what has a default", () => {
    const short = { strategy: "spatial", layers: ["a"], devices: ["p", "q"], rows: [1, 1] };
    expect(readPlan(plan({ version: 2, placement: {}, shards: [short] }), model)).toEqual({ content: content({}, [byRows(["a"], ["p", "q"])]) });
  });
  it.each([
    ["no JSON", "{", "no JSON"],
    ["a list", "[]", "no plan document"],
    ["another version", plan({ version: 3 }), "version 1 or 2"],
    ["another network", plan({ network: { sha256: "e".repeat(64), name: "resnet" } }), "another network (resnet)"],
    ["another form of the network", plan({ network: { ...network, simplified: true, dims: { N: 4 } } }), "its simplified form with N = 4"],
    ["an unknown layer", plan({ placement: { z: "pi1" } }), "no layer z"],
    ["a device that is no name", plan({ placement: { a: 3 } }), "device of a"],
    ["a strategy that is none", plan({ version: 2, shards: [{ strategy: "magic", layers: [], devices: [] }] }), "no division"],
    ["shares that are no numbers", plan({ version: 2, shards: [{ strategy: "spatial", layers: ["a"], devices: ["p", "q"], rows: 2 }] }), "no division"],
    ["blocks that are no lists", plan({ version: 2, blocks: { front: 4 } }), "blocks"],
    ["replicas without places", plan({ version: 2, replicas: { pair: null } }), "replicas"],
    ["shards that are no list", plan({ version: 2, shards: {} }), "no division"],
  ])("is refused with the reason: %s", (_, text, reason) => {
    const answer = readPlan(text, model);
    expect("problem" in answer ? answer.problem : "").toContain(reason);
  });
  it.each([
    ["another file", { network: { sha256: "e".repeat(64), name: "digits" } }],
    ["another form", { network: { ...network, simplified: true } }],
    ["layers that are no more", { placement: { a: "pi1", z: "pi2" } }],
  ])("of another version of the network is told with what fits: %s", (_, change) => {
    const placement = { a: "pi1", z: "pi2" };
    expect(readPlan(plan({ placement, ...change }), model)).toMatchObject({ problem: expect.any(String) as string, fit: { layers: 1, gone: ["z"], left: ["b"], content: { placement: { a: "pi1" } } } });
  });
  it("of which nothing fits is refused", () => {
    expect(readPlan(plan({ network: { sha256: "e".repeat(64) }, placement: { z: "pi1" } }), model)).not.toHaveProperty("fit");
  });
});
