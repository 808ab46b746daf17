// @vitest-environment happy-dom
import { afterEach, expect, it, vi } from "vitest";
import { isOutdated } from "./newer";

const page = (script: string): string => `<head><script type="module" crossorigin src="${script}"></script></head>`;
const serve = (answer: () => Promise<Response>): unknown => vi.stubGlobal("fetch", answer);

afterEach(() => vi.unstubAllGlobals());

it.each([
  ["the same page is no other one", "/assets/index-a.js", page("/assets/index-a.js"), false],
  ["a page with another script is", "/assets/index-a.js", page("/assets/index-b.js"), true],
  ["a proxy's page says nothing", "/assets/index-a.js", "<h1>Bad gateway</h1>", false],
  ["nor does a page under development", "/src/main.tsx", page("/assets/index-b.js"), false],
])("%s", async (_, mine, theirs, outdated) => {
  serve(() => Promise.resolve(new Response(theirs)));
  expect(await isOutdated(page(mine))).toBe(outdated);
});

it("a studio that is away says nothing", async () => {
  serve(() => Promise.reject(new TypeError("Failed to fetch")));
  expect(await isOutdated(page("/assets/index-a.js"))).toBe(false);
});
