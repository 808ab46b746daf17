import { describe, expect, it } from "vitest";
import type { InventoryEntry } from "@/api/types";
import { nextOf, rowsOf, summaryOf, withState } from "./importing";

const problem = { code: "address", message: "no address", next_step: "Give one.", details: {} };
const entry = (name: string, more: Partial<InventoryEntry> = {}): InventoryEntry => ({
  name, group: null, problem: null, registered: false,
  device: { name, address: `ssh://pi@${name}`, keep_password: false },
  ...more,
});
const entries = [entry("a"), entry("b", { registered: true }), entry("c", { device: null, problem }), entry("d")];

describe("importing an inventory", () => {
  it("takes what can be registered and is not yet", () => {
    const rows = rowsOf(entries);
    expect(rows.map(({ chosen }) => chosen)).toEqual([true, false, false, true]);
    expect(nextOf(rows)).toBe(0);
  });
  it("goes on after a failure and after a question", () => {
    let rows = rowsOf(entries);
    rows = withState(rows, 0, { kind: "failed", problem });
    expect(nextOf(rows)).toBe(3);
    rows = withState(rows, 3, { kind: "asks", problem });
    expect(nextOf(rows)).toBe(-1);
    expect(summaryOf(rows)).toBe("0 added, 1 asks about a host key, 1 failed, 1 entry not usable");
    rows = withState(rows, 3, { kind: "waiting", trusted: "SHA256:x" });
    expect(nextOf(rows)).toBe(3);
    expect(summaryOf(withState(rows, 3, { kind: "added", words: "ready" }))).toBe("1 added, 1 failed, 1 entry not usable");
  });
});
