// @vitest-environment happy-dom
// @vitest-environment-options {"url": "http://studio.test/"}
import { afterEach, beforeEach, expect, it, vi } from "vitest";
import { connectLive } from "./socket";
import { liveStore } from "./store";

/** A connection that a test opens and speaks through. */
class Wire {
  static all: Wire[] = [];
  onopen = (): void => undefined;
  onmessage = (message: { data: string }): void => void message;
  onclose: (() => void) | null = null;
  closed = false;
  constructor() {
    Wire.all.push(this);
  }
  close(): void {
    this.closed = true;
  }
  say(sequence: number): void {
    this.onmessage({ data: JSON.stringify({ sequence, message: { type: "links" } }) });
  }
}

const last = (): Wire => Wire.all.at(-1) as Wire;
const connection = (): string => liveStore.getState().connection;
const STUDIO = new Response(JSON.stringify({ version: "1", demo_model_id: null, devices: [] }), { headers: { "Content-Type": "application/json" } });

let answers: (signal: AbortSignal) => Promise<Response>;
let end: () => void;

beforeEach(() => {
  vi.useFakeTimers();
  Wire.all = [];
  answers = () => Promise.resolve(STUDIO.clone());
  vi.stubGlobal("WebSocket", Wire);
  vi.stubGlobal("fetch", (request: Request) => answers(request.signal));
  liveStore.setState({ connection: "connecting" });
  end = connectLive();
});

afterEach(() => {
  end();
  vi.unstubAllGlobals();
  vi.useRealTimers();
});

/** Nothing comes back, as through a cable that was pulled out. */
const never = (signal: AbortSignal): Promise<Response> => new Promise((_, reject) => signal.addEventListener("abort", () => reject(signal.reason as Error)));

it("a silent connection stands as long as the studio answers", async () => {
  last().onopen();
  await vi.advanceTimersByTimeAsync(120_000);
  expect(connection()).toBe("open");
  expect(Wire.all).toHaveLength(1);
});

it("a connection that is cut without a word is told and made anew", async () => {
  last().onopen();
  expect(connection()).toBe("open");
  answers = () => Promise.reject(new TypeError("Failed to fetch"));
  await vi.advanceTimersByTimeAsync(10_000);
  expect(connection()).toBe("lost");
  expect(Wire.all[0]?.closed).toBe(true);
  await vi.advanceTimersByTimeAsync(600);
  expect(Wire.all).toHaveLength(2);
  answers = () => Promise.resolve(STUDIO.clone());
  last().onopen();
  expect(connection()).toBe("open");
});

it("what still speaks is there, however long an answer takes", async () => {
  last().onopen();
  answers = never;
  for (let sequence = 1; sequence < 60; sequence += 1) {
    await vi.advanceTimersByTimeAsync(1000);
    last().say(sequence);
  }
  expect(connection()).toBe("open");
});

it("a connection that never opens is tried again", async () => {
  await vi.advanceTimersByTimeAsync(8600);
  expect(connection()).toBe("lost");
  expect(Wire.all.length).toBeGreaterThan(1);
});
