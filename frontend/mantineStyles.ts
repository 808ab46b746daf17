/**
 * Mantine's styles come with its components, so that a page loads what it shows. They are in a layer: ours stand above
 * them in whatever order both come. In a build; while developing, all of them come at once.
 */
import { existsSync, readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import type { Plugin } from "vite";

const core = fileURLToPath(new URL("./node_modules/@mantine/core", import.meta.url));
/** What is no component's. */
const ALWAYS = ["default-css-variables", "baseline", "global"];

const CLASSES = /\/@mantine\/core\/esm\/(?:components|utils)\/.*?(\w+)\.module\.mjs$/;

/** The sheet of the classes that a module names; null where a module names none. */
export function sheetOf(module: string): string | null {
  const name = CLASSES.exec(module)?.[1];
  if (name === undefined) return null;
  const sheet = `@mantine/core/styles/${name}.layer.css`;
  if (!existsSync(`${core}/styles/${name}.layer.css`)) throw new Error(`${module} has no sheet ${sheet}`);
  return sheet;
}

export function mantineStyles(): Plugin {
  return {
    name: "mantine-styles",
    apply: "build",
    enforce: "pre",
    load(id) {
      return id.endsWith("@mantine/core/styles.layer.css") ? ALWAYS.map((name) => readFileSync(`${core}/styles/${name}.layer.css`, "utf8")).join("\n") : null;
    },
    transform(code, id) {
      const sheet = sheetOf(id);
      return sheet === null ? null : { code: `import "${sheet}";\n${code}`, map: null };
    },
  };
}
