import { describe, expect, it, vi } from "vitest";
import { between, Glide } from "./glide";

const at = ({ x, y, zoom }: { x: number; y: number; zoom: number }, px: number, py: number) => [px * zoom + x, py * zoom + y] as const;

describe("the way of the camera", () => {
  const [from, to] = [{ x: 10, y: -40, zoom: 0.2 }, { x: -300, y: 60, zoom: 1.4 }];
  it("begins and ends where it should", () => {
    expect(between(from, to, 0)).toEqual(from);
    expect(between(from, to, 1)).toBe(to);
  });
  it("moves each point straight", () => {
    const [ax, ay] = at(from, 50, 70);
    const [bx, by] = at(to, 50, 70);
    for (const share of [0.2, 0.5, 0.9]) {
      const [x, y] = at(between(from, to, share), 50, 70);
      expect((x - ax) * (by - ay)).toBeCloseTo((y - ay) * (bx - ax), 6);
    }
  });
  it("is even where the zoom stays", () => {
    expect(between({ ...from, zoom: 1 }, { ...to, zoom: 1 }, 0.5)).toEqual({ x: -145, y: 10, zoom: 1 });
  });
});

it("a movement has a goal until it is ended, so that one that is asked for meanwhile goes on from there", () => {
  vi.stubGlobal("requestAnimationFrame", () => 1);
  vi.stubGlobal("cancelAnimationFrame", () => undefined);
  const here = { x: 0, y: 0, zoom: 1 };
  const glide = new Glide(() => here, () => undefined);
  expect(glide.goal()).toBe(here);
  const there = { x: 5, y: 5, zoom: 0.8 };
  glide.moveTo(there, 200);
  expect(glide.goal()).toBe(there);
  glide.end();
  expect(glide.goal()).toBe(here);
  vi.unstubAllGlobals();
});
