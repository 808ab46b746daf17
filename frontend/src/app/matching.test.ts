import { describe, expect, it } from "vitest";
import type { Command } from "./commands";
import { matching } from "./matching";

const command = (title: string, change: Partial<Command> = {}): Command => ({ id: title, group: "Look", title, run: () => undefined, ...change });
const COMMANDS = [command("Zoom in"), command("Undo: conv1 → pi", { group: "Plan" }), command("Send the selection to pi-2", { group: "Place", words: "assign" }), command("Fit the network", { unable: "Change to the graph first" }), command("Open all blocks")];
const titles = (text: string) => matching(COMMANDS, text).map(({ title }) => title);

describe("the palette", () => {
  it("lists all by group while nothing is typed", () => expect(titles("")).toEqual(["Undo: conv1 → pi", "Send the selection to pi-2", "Zoom in", "Fit the network", "Open all blocks"]));
  it("finds by all words, in any order, also those not in the title", () => {
    expect(titles("pi send")).toEqual(["Send the selection to pi-2"]);
    expect(titles("assign")).toEqual(["Send the selection to pi-2"]);
    expect(titles("plan")).toEqual(["Undo: conv1 → pi"]);
    expect(titles("nothing like it")).toEqual([]);
  });
  it("puts beginnings before the rest, and what cannot be done now last", () => {
    expect(titles("o")[0]).toBe("Open all blocks");
    expect(titles("n").at(-1)).toBe("Fit the network");
  });
  it("takes any character as it is", () => expect(titles("(")).toEqual([]));
});
