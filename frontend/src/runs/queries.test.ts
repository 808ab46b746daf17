// @vitest-environment happy-dom
import { afterEach, expect, test, vi } from "vitest";
import { deleteRuns, lastPage, PAGE_SIZE } from "./queries";

afterEach(() => vi.unstubAllGlobals());

const studio = (answers: Record<string, number>): string[] => {
  const asked: string[] = [];
  vi.stubGlobal("fetch", ({ url }: Request) => {
    const run = url.split("/").at(-1) ?? "";
    asked.push(run);
    const status = answers[run] ?? 204;
    return Promise.resolve(status === 204 ? new Response(null, { status }) : Response.json({ code: "no", message: "No.", next_step: "Wait." }, { status }));
  });
  return asked;
};

test("runs that are gone already do not keep others from being deleted", async () => {
  const asked = studio({ a: 404 });
  await deleteRuns(["a", "b"]);
  expect(asked).toEqual(["a", "b"]);
});

test("a run that cannot be deleted is told, and those after it stay", async () => {
  const asked = studio({ a: 409 });
  await expect(deleteRuns(["a", "b"])).rejects.toThrow("No.");
  expect(asked).toEqual(["a"]);
});

test("a page from which the last run was deleted is none any more", () => {
  expect([0, 1, PAGE_SIZE, PAGE_SIZE + 1].map(lastPage)).toEqual([0, 0, 0, 1]);
});
