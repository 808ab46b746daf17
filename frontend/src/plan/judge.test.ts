import { describe, expect, it } from "vitest";
import type { PlanProblem } from "@/api/types";
import { buildNetwork } from "@/graph/network";
import { judge, judgePlace, judgeReports, type Board } from "./judge";
import { content } from "./samples";

const board = (name: string, change: Partial<Board> = {}): [string, Board] => [name, { name, state: "ready", problem: null, check: { memory_bytes: 512e6 }, ...change }];
const broken = { code: "no_runtime", message: "No ONNX Runtime runs there.", next_step: "", details: {} };
const boards = new Map([board("pi-1"), board("old", { state: "cannot", problem: broken }), board("off", { state: "unreachable" }), board("tiny", { check: { memory_bytes: 80e6 } }), board("new", { state: "unknown", check: null })]);

const network = buildNetwork({
  layers: ["a", "b"].map((name) => ({ name, op_type: "Conv", inputs: ["x"], outputs: [`${name}:0`], output_shape: [1], macs: 1, parameters: 1, weight_bytes: 8e6, activation_bytes: 1e6 })),
  tensors: [], inputs: [{ name: "x", shape: [1], size_bytes: 4 }], outputs: [],
});

describe("a place", () => {
  it.each([
    ["gone", /no device gone/],
    ["old", /old cannot run layers: No ONNX Runtime/],
  ])("%s that cannot run layers is refused, with the reason", (place, why) => {
    expect(judgePlace(content({}), place, boards).refused).toMatch(why);
  });
  it.each([["off", /could not be reached/], ["new", /not checked/]])("%s that may turn out well is only warned of", (place, why) => {
    const verdict = judgePlace(content({}), place, boards);
    expect([verdict.refused, verdict.warnings.join()]).toEqual([null, expect.stringMatching(why)]);
  });
  it("of several devices is refused for one of them; no device at all is a place, too", () => {
    const shared = content({});
    const plan = { ...shared, rest: { ...shared.rest, replicas: { both: { places: ["pi-1", "old"] } } } };
    expect(judgePlace(plan, "both", boards).refused).toMatch(/old cannot/);
    expect(judgePlace(plan, "", boards).refused).toBeNull();
  });
});

describe("memory", () => {
  it("that is sure to be exceeded refuses, that may be exceeded warns", () => {
    expect(judge(network, content({ a: "tiny", b: "tiny" }), ["tiny"], boards).refused).toMatch(/tiny has 80.0\u202fMB of memory; its layers would need at least 84.1\u202fMB/);
    const one = judge(network, content({ a: "tiny" }), ["tiny"], boards);
    expect([one.refused, one.warnings]).toEqual([null, [expect.stringMatching(/may need/)]]);
    expect(judge(network, content({ a: "pi-1", b: "pi-1" }), ["pi-1"], boards)).toEqual({ refused: null, warnings: [] });
  });
  it("of a device that gets nothing says nothing", () => {
    expect(judge(network, content({ a: "tiny", b: "tiny" }), ["pi-1"], boards).refused).toBeNull();
  });
});

describe("the studio's reports", () => {
  const problem = (code: string, change: Partial<PlanProblem> = {}): PlanProblem => ({ code, severity: "error", message: `${code}.`, ...change });
  it("refuse for a new error, with what to do", () => {
    expect(judgeReports([], [problem("cut_type", { layer: "a", next_step: "Keep them together." })], ["pi-1"]).refused).toBe("cut_type. Keep them together.");
  });
  it("do not refuse for what is wrong already, or not placed yet", () => {
    const old = problem("cut_type", { layer: "a" });
    expect(judgeReports([old], [{ ...old, message: "in other words" }, problem("unplaced_layer", { layer: "b" })], ["pi-1"]).refused).toBeNull();
  });
  it("refuse more for a device that has too much already, and let it have less", () => {
    const over = problem("over_memory", { device: "pi-1" });
    expect(judgeReports([over], [over], ["pi-1"]).refused).toBe("over_memory.");
    expect(judgeReports([over], [over], ["pi-2"]).refused).toBeNull();
  });
  it("warn without refusing", () => {
    expect(judgeReports([], [problem("tight_memory", { severity: "warning", device: "pi-1" })], ["pi-1"])).toEqual({ refused: null, warnings: ["tight_memory."] });
  });
});
