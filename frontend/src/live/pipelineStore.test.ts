import { afterEach, beforeEach, expect, test, vi } from "vitest";
import type { Deployment } from "@/api/types";
import { feedPipeline, pipelineStore } from "./pipelineStore";
import { liveSample, stageSample } from "./samples";
import { forgetLive, recordLives } from "./store";

const stage = { name: stageSample.stage, device: "pi-1", devices: ["pi-1"], layers: [], provider: "", batch: 1 };
const told = { id: stageSample.deployment, epoch: stageSample.epoch, stages: [stage], plan: { resources: {} }, run: null } as unknown as Deployment;
const hear = (unix_s: number) => recordLives([{ ...liveSample, device: "pi-1", unix_s, stages: [stageSample] }]);
const stages = () => pipelineStore.getState().now?.stages.length;

beforeEach(() => vi.useFakeTimers({ now: 0 }));
afterEach(() => {
  vi.useRealTimers();
  forgetLive("pi-1");
});

test("what a silent deployment did last goes, though nobody says so", () => {
  hear(1);
  const stop = feedPipeline(told, null);
  expect(stages()).toBe(1);
  vi.advanceTimersByTime(2000);
  hear(2);
  vi.advanceTimersByTime(2500);
  expect(stages()).toBe(1);
  vi.advanceTimersByTime(2000);
  expect(stages()).toBe(0);
  // And then nothing ticks any more, until something is heard.
  expect(vi.getTimerCount()).toBe(0);
  hear(3);
  vi.advanceTimersByTime(1000);
  expect(stages()).toBe(1);
  stop();
  expect(vi.getTimerCount()).toBe(0);
});
