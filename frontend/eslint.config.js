import js from "@eslint/js";
import reactHooks from "eslint-plugin-react-hooks";
import tseslint from "typescript-eslint";

export default tseslint.config(
  { ignores: ["node_modules", "dist", "src/api/schema.ts"] },
  js.configs.recommended,
  ...tseslint.configs.strict,
  { files: ["src/**/*.{ts,tsx}"], plugins: { "react-hooks": reactHooks }, rules: reactHooks.configs.recommended.rules },
  {
    files: ["scripts/**/*.mjs"],
    languageOptions: { globals: { console: "readonly", process: "readonly", URL: "readonly" } },
  },
  {
    files: ["src/**/*.{ts,tsx}"],
    rules: {
      eqeqeq: ["error", "always", { null: "ignore" }],
      "no-console": "error",
      // The pure core knows neither React nor the network.
      "@typescript-eslint/consistent-type-imports": "error",
    },
  },
  {
    files: ["src/graph/**/*.ts"],
    rules: { "no-restricted-imports": ["error", { patterns: ["react", "react-dom", "@xyflow/*", "zustand", "@/api/*", "@/app/*", "@/editor/*"] }] },
  },
  {
    files: ["src/**/*.{ts,tsx}"],
    ignores: ["src/editor/flow.tsx"],
    rules: { "no-restricted-imports": ["error", { paths: [{ name: "@xyflow/react", message: "Use src/editor/flow.tsx." }] }] },
  },
);
