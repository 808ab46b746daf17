import { readdirSync } from "node:fs";
import { expect, test } from "vitest";
import { sheetOf } from "../../mantineStyles";

const components = new URL("../../node_modules/@mantine/core/esm/", import.meta.url);

test("the classes of every component of Mantine bring their styles", () => {
  const modules = readdirSync(components, { recursive: true, encoding: "utf8" }).filter((path) => path.endsWith(".module.mjs"));
  expect(modules.length).toBeGreaterThan(80);
  expect(modules.filter((path) => sheetOf(`/node_modules/@mantine/core/esm/${path}`) === null)).toEqual([]);
});

test("what names no classes brings none", () => {
  expect(sheetOf("/node_modules/@mantine/core/esm/components/Button/Button.mjs")).toBeNull();
});
