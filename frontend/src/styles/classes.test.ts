import { readdirSync, readFileSync } from "node:fs";
import { expect, test } from "vitest";

const here = new URL("../", import.meta.url);
const files = readdirSync(here, { recursive: true, encoding: "utf8" });
const read = (ending: RegExp) => files.filter((path) => ending.test(path) && !/\.test\./.test(path)).map((path) => readFileSync(new URL(path, here), "utf8"));

/** Of other libraries. */
const FOREIGN = /^(mantine-|react-flow|u-)/;

test("every class that is styled is one that something on the page has", () => {
  const selectors = read(/\.css$/).flatMap((sheet) => sheet.replace(/\/\*.*?\*\//gs, "").match(/[^{}]+(?=\{)/g) ?? []);
  const styled = new Set(selectors.flatMap((selector) => [...selector.matchAll(/\.([a-z][\w-]*)/gi)].map(([, name = ""]) => name)));
  const source = read(/\.tsx?$/).join("\n");
  const words = new Set(source.match(/[\w-]+/g));
  // `is-${state}`: the class is there where its beginning is, and its end is a word or a number.
  const isMade = (name: string) => [...name.matchAll(/-/g)].some(({ index }) => source.includes(`${name.slice(0, index + 1)}\${`) && (words.has(name.slice(index + 1)) || /^\d+$/.test(name.slice(index + 1))));
  expect([...styled].filter((name) => !FOREIGN.test(name) && !words.has(name) && !isMade(name))).toEqual([]);
});
