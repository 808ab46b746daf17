import { describe, expect, it } from "vitest";
import type { PlanProblem } from "@/api/types";
import { summaryOf, tellSummary, troublesOf } from "./troubles";

const problem = (layer: string | null, severity: PlanProblem["severity"], message: string, code = "some"): PlanProblem => ({ code, severity, message, layer });
const exists = (layer: string) => ["a", "b", "c"].includes(layer);

describe("Troubles of layers", () => {
  it("are those that speak of a layer or of a part of it, the worst first, each once", () => {
    const troubles = troublesOf(
      [problem("a", "warning", "slow"), problem("a#1#0", "error", "bad"), problem("a", "error", "bad"), problem(null, "error", "device"), problem("x#0", "error", "join")],
      exists,
    );
    expect([...troubles]).toEqual([
      ["a", [
        { severity: "error", message: "bad", nextStep: null },
        { severity: "warning", message: "slow", nextStep: null },
      ]],
    ]);
  });

  it("are none where a layer only has no device", () => {
    expect(troublesOf([problem("a", "error", "not placed", "unplaced_layer")], exists).size).toBe(0);
  });

  it("are told of a fold by the worst, with how many more layers have one", () => {
    const troubles = troublesOf([problem("a", "warning", "slow"), problem("b", "error", "bad"), problem("c", "error", "worse")], exists);
    expect(summaryOf(troubles, ["a"])?.worst.message).toBe("slow");
    const summary = summaryOf(troubles, ["a", "b", "c"]);
    expect(summary && tellSummary(summary)).toBe("Error: bad (and 1 more here)");
    expect(summaryOf(troubles, ["x"])).toBeNull();
    expect(summaryOf(new Map(), ["a"])).toBeNull();
  });
});
