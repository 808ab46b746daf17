import { expect, it } from "vitest";
import { cellText } from "./spreadsheet";

it.each(["=1+1", "+cmd|' /C calc'!A0", "@SUM(A1)", "-2+3+cmd|' /C calc'!A0", " =1", "\u200b=1", "\t=1", "\r\n=1", "|x"])("what looks like a formula stays text: %j", (text) => {
  expect(cellText(text)).toMatch(/^'/);
});

it.each(["-3.5", "+12 %", "−12 %", "1e-7", "conv1", "", "a=b", "résumé"])("what is none stays as it is: %j", (text) => {
  expect(cellText(text)).toBe(text);
});

it("a cell is one line", () => {
  expect(cellText("a\nb\tc")).toBe("a b c");
});
