/** Builds the pages with the frontend's packages: `node build.mjs FRONTEND OUT`. */
import { createRequire } from "node:module";
import { resolve } from "node:path";
import { pathToFileURL } from "node:url";

const [frontend, out] = process.argv.slice(2).map((path) => resolve(path));
const require = createRequire(resolve(frontend, "package.json"));
const load = async (name) => await import(pathToFileURL(require.resolve(name)).href);
const { build } = await load("vite");
const { default: react } = await load("@vitejs/plugin-react");
const root = import.meta.dirname;
const packages = ["@dagrejs/dagre", "@xyflow/react", "react", "react-dom"];

await build({
  root,
  base: "./",
  configFile: false,
  logLevel: "error",
  plugins: [react()],
  resolve: {
    alias: [
      { find: /^@\//, replacement: `${resolve(frontend, "src")}/` },
      ...packages.map((name) => ({ find: new RegExp(`^${name}(?=/|$)`), replacement: resolve(frontend, "node_modules", name) })),
    ],
  },
  worker: { format: "es" },
  build: { outDir: out, emptyOutDir: true, target: "es2022", chunkSizeWarningLimit: 2000, rollupOptions: { input: ["empty", "flow", "layout"].map((name) => resolve(root, `${name}.html`)) } },
});
