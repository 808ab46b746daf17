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

/** A label's half width and height, about; longer ones are rare. */
export const LABEL = { x: 46, y: 8 };
const LABEL_STEP = 20;
const MOST_SEGMENTS = 6;

interface Space {
  x: number;
  y: number;
  width: number;
  height: number;
}

/** Where a label has room: on the longest segment where that is free, as near to its middle as can be, or else on another. */
export function labelPoint(points: readonly Point[], isFree: (space: Space) => boolean = () => true): Point {
  const clean = simplify(points);
  const segments = clean.slice(1).map((end, i) => [at(clean, i), end] as const);
  segments.sort(([a, b], [c, d]) => distance(c, d) - distance(a, b));
  const hasRoom = ([x, y]: Point) => isFree({ x: x - LABEL.x, y: y - LABEL.y, width: 2 * LABEL.x, height: 2 * LABEL.y });
  for (const [a, b] of segments.slice(0, MOST_SEGMENTS)) {
    const length = distance(a, b);
    for (let off = 0; off <= length / 2; off += LABEL_STEP) {
      const found = (off === 0 ? [0.5] : [0.5 - off / length, 0.5 + off / length]).map((part): Point => [a[0] + (b[0] - a[0]) * part, a[1] + (b[1] - a[1]) * part]).find(hasRoom);
      if (found) return found;
    }
  }
  const [first] = segments;
  return first ? [(first[0][0] + first[1][0]) / 2, (first[0][1] + first[1][1]) / 2] : at(clean, 0);
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
