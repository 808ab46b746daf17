import { beforeEach, expect, test } from "vitest";
import { liveSample } from "./samples";
import type { Run } from "@/api/types";
import { forgetLive, forgetRuns, liveStore, recordLives, recordRun } from "./store";

const at = (unix_s: number) => ({ ...liveSample, device: "pi-1", unix_s });

beforeEach(() => forgetLive("pi-1"));

test("what is told of a silent device again does not make it younger", () => {
  recordLives([at(1)], 1000);
  recordLives([at(1)], 9000);
  expect(liveStore.getState().latest["pi-1"]?.receivedAt).toBe(1000);
  recordLives([at(2)], 9500);
  expect(liveStore.getState().latest["pi-1"]?.receivedAt).toBe(9500);
});

test("a device that was removed is forgotten", () => {
  recordLives([at(1)]);
  forgetLive("pi-1");
  expect(liveStore.getState().latest).toEqual({});
});

test("the run of a deployment that has none any more is forgotten, and no other", () => {
  const run = (id: string, deployment_id: string) => recordRun({ id, deployment_id } as Run);
  run("r1", "d1");
  run("r2", "d2");
  forgetRuns("d1");
  expect(Object.keys(liveStore.getState().runs)).toEqual(["r2"]);
});

test("a device may have any name, also one that every object knows", () => {
  recordLives([{ ...liveSample, device: "constructor", unix_s: 1 }], 1000);
  expect(liveStore.getState().latest["constructor"]?.receivedAt).toBe(1000);
  forgetLive("constructor");
});
