import react from "@vitejs/plugin-react";
import { fileURLToPath } from "node:url";
import { defineConfig } from "vitest/config";
import { groups } from "./chunks";
import { mantineStyles } from "./mantineStyles";
import { preloadStart } from "./preloadStart";

const studio = process.env["STUDIO_URL"] ?? "http://127.0.0.1:8400";

const source = (path: string): string => fileURLToPath(new URL(`./src/${path}`, import.meta.url)).replace(/\/$/, "");

export default defineConfig({
  plugins: [react(), mantineStyles(), preloadStart()],
  resolve: {
    alias: [
      { find: "@", replacement: source("") },
      { find: "d3-drag", replacement: source("editor/d3/drag.ts") },
      { find: "d3-transition", replacement: source("editor/d3/transition.ts") },
      { find: "d3-interpolate", replacement: source("editor/d3/interpolate.ts") },
    ],
  },
  worker: { format: "es" },
  build: {
    outDir: "../backend/partition_studio/static",
    emptyOutDir: true,
    target: "es2022",
    modulePreload: { polyfill: false },
    chunkSizeWarningLimit: 700,
    rolldownOptions: {
      // React Flow's own parts that nothing draws (its map, its controls) would stay for these calls.
      treeshake: { manualPureFunctions: ["memo", "forwardRef", "createContext", "lazy"] },
      output: {
        codeSplitting: { groups },
      },
    },
  },
  server: { proxy: { "/api": { target: studio, ws: true } } },
  // No test is about seconds: a busy machine may take many for what takes one.
  test: { environment: "node", include: ["src/**/*.test.{ts,tsx}"], testTimeout: 60_000 },
});
