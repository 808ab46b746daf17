/** Polylines with rounded corners. */
import { at } from "./network";

export type Point = readonly [x: number, y: number];

const RADIUS = 7;

/** Drop repeated points and points in the middle of a straight line. */
export function simplify(points: readonly Point[]): Point[] {
  const result: Point[] = [];
  for (const point of points) {
    const last = result.at(-1);
    if (last && Math.abs(last[0] - point[0]) < 0.5 && Math.abs(last[1] - point[1]) < 0.5) continue;
    const before = result.at(-2);
    if (last && before) {
      const vertical = Math.abs(before[0] - last[0]) < 0.5 && Math.abs(last[0] - point[0]) < 0.5;
      const horizontal = Math.abs(before[1] - last[1]) < 0.5 && Math.abs(last[1] - point[1]) < 0.5;
      if (vertical || horizontal) result.pop();
    }
    result.push(point);
  }
  return result;
}

/** SVG path through the points, corners rounded. */
export function roundedPath(points: readonly Point[]): string {
  const clean = simplify(points);
  const first = at(clean, 0);
  let path = `M${n(first[0])} ${n(first[1])}`;
  for (let i = 1; i < clean.length - 1; i += 1) {
    const [before, corner, after] = [at(clean, i - 1), at(clean, i), at(clean, i + 1)];
    const radius = Math.min(RADIUS, distance(before, corner) / 2, distance(corner, after) / 2);
    const enter = towards(corner, before, radius);
    const leave = towards(corner, after, radius);
    path += `L${n(enter[0])} ${n(enter[1])}Q${n(corner[0])} ${n(corner[1])} ${n(leave[0])} ${n(leave[1])}`;
  }
  const last = at(clean, clean.length - 1);
  return `${path}L${n(last[0])} ${n(last[1])}`;
}

/** Middle of the longest segment: where a label has room. */
export function labelPoint(points: readonly Point[]): Point {
  const clean = simplify(points);
  let best: Point = at(clean, 0);
  let longest = -1;
  for (let i = 1; i < clean.length; i += 1) {
    const [a, b] = [at(clean, i - 1), at(clean, i)];
    const length = distance(a, b);
    if (length > longest) {
      longest = length;
      best = [(a[0] + b[0]) / 2, (a[1] + b[1]) / 2];
    }
  }
  return best;
}

function distance(a: Point, b: Point): number {
  return Math.hypot(a[0] - b[0], a[1] - b[1]);
}

function towards(from: Point, to: Point, length: number): Point {
  const total = distance(from, to) || 1;
  return [from[0] + ((to[0] - from[0]) * length) / total, from[1] + ((to[1] - from[1]) * length) / total];
}

function n(value: number): string {
  return String(Math.round(value * 10) / 10);
}
