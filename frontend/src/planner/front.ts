/** The points of a Pareto chart, where they lie, and what they are in words. Pure. */
import type { Plan } from "@/api/types";
import { formatBytes, formatDuration, plural } from "@/app/format";
import { formatJoules } from "@/power/words";
import { brokenScaleOf, radiusOf, type BrokenScale } from "./scale";
import type { Prediction, Search } from "./types";
import { formatValue } from "./words";

export type PointKind = "front" | "baseline" | "current";
export type Axis = "energy" | "memory";

export const AXIS_WORDS: Record<Axis, string> = { energy: "Largest energy of a device, per frame", memory: "Largest memory of a device" };

export interface FrontPoint {
  id: string;
  kind: PointKind;
  title: string;
  /** The plan to open; null for the one that is open. */
  plan: Plan | null;
  throughput: number;
  /** Joules per frame of the device that takes most; null where a power is not known. */
  energy: number | null;
  memory: number;
  latency: number;
  devices: number;
  estimated: boolean;
}

function pointOf(kind: PointKind, title: string, plan: Plan | null, prediction: Prediction): FrontPoint {
  const { throughput_per_s: throughput, max_energy_j: energy, max_memory_bytes: memory, latency_s: latency, estimated } = prediction;
  // A point stays the same while others come: what it is, is what it reaches.
  const id = [kind, kind === "front" ? [throughput, energy, memory].join(" ") : title].join(" ");
  return { id, kind, title, plan, throughput, energy, memory, latency, estimated, devices: prediction.devices.length };
}

/** Baselines and the open plan first, then the front from the fewest frames to the most. */
export function pointsOf(search: Pick<Search, "front" | "baselines">, current: Prediction | null): FrontPoint[] {
  const baselines = search.baselines.map(({ name, plan, prediction }) => pointOf("baseline", name, plan, prediction));
  const front = search.front.map(({ plan, prediction }) => pointOf("front", "", plan, prediction));
  const sorted = [...new Map(front.map((point) => [point.id, point])).values()].sort((a, b) => a.throughput - b.throughput || a.memory - b.memory);
  const named = sorted.map((point, i) => ({ ...point, title: `point ${i + 1}` }));
  return [...(current ? [pointOf("current", "the open plan", null, current)] : []), ...baselines, ...named];
}

const valueOn = (axis: Axis, { energy, memory }: FrontPoint): number | null => (axis === "energy" ? energy : memory);

/** Energy, unless no point knows it. */
export const usableAxis = (asked: Axis, points: readonly FrontPoint[]): Axis => (asked === "energy" && points.length > 0 && points.every(({ energy }) => energy === null) ? "memory" : asked);

export interface Place {
  x: number;
  /** From the top. */
  y: number;
}

/** A point on the chart: drawn at `x` and `y`, which lie beside its own place where another one lies there. */
export interface Mark extends Place {
  point: FrontPoint;
  own: Place;
  radius: number;
  /** The figures of which it lies too far off for the scale, with where they lie; null: it lies within. */
  far: string | null;
}

export interface FrontPlot {
  x: BrokenScale;
  y: BrokenScale;
  marks: readonly Mark[];
  /** Points that have no figure on this axis. */
  missing: number;
  /** What the sizes tell: the least and the most of the other figure; null where it is one or none. */
  sizes: readonly [least: number, most: number] | null;
}

/** Marks nearer to each other than this cannot be told apart by a hand. */
const APART = 7;
const ROUNDS = 40;

/** Move marks that lie on each other aside, within the box; those with room around them stay where they belong. */
function apart(marks: readonly Mark[], width: number, height: number): Mark[] {
  const places = marks.map(({ own }) => ({ ...own }));
  for (let round = 0; round < ROUNDS; round += 1) {
    let moved = false;
    places.forEach((one, i) => {
      places.slice(0, i).forEach((other, j) => {
        const [dx, dy] = [one.x - other.x, one.y - other.y];
        const distance = Math.hypot(dx, dy);
        if (distance >= APART - 0.01) return;
        // Of two in the very same place the way apart is chosen by their order, so that it is the same each time.
        const angle = distance > 0.01 ? Math.atan2(dy, dx) : (i + j) * 2.4;
        const push = (APART - distance) / 2;
        for (const [place, sign] of [[one, 1], [other, -1]] as const) {
          place.x = Math.min(Math.max(place.x + sign * push * Math.cos(angle), 0), width);
          place.y = Math.min(Math.max(place.y + sign * push * Math.sin(angle), 0), height);
        }
        moved = true;
      });
    });
    if (!moved) break;
  }
  return marks.map((mark, i) => ({ ...mark, ...places[i] }));
}

/** The mark next to a place: each has the part of the chart around it, so that none hides another from the pointer. */
export function nearest(marks: readonly Mark[], { x, y }: Place, reach: number): Mark | null {
  const far = (mark: Mark) => Math.hypot(mark.x - x, mark.y - y);
  const first = marks.reduce<Mark | null>((best, mark) => (best === null || far(mark) < far(best) ? mark : best), null);
  return first !== null && far(first) <= Math.max(reach, first.radius) ? first : null;
}

const ASIDE = 3;

/** Whether a mark is drawn so far from its own place that a line has to lead there. */
export const isAside = ({ x, y, own }: Mark): boolean => Math.hypot(x - own.x, y - own.y) > ASIDE;

const ARROWS = ["↙", "↓", "↘", "←", "", "→", "↖", "↑", "↗"] as const;

/**
 * Where points lie: throughput to the right, `axis` upwards, the other figure as their size.
 *
 * The plans among which one chooses have the scales; a baseline or an open plan that lies far off presses them together nowhere.
 */
export function plotFront(points: readonly FrontPoint[], axis: Axis, width: number, height: number): FrontPlot {
  const shown = points.filter((point) => valueOn(axis, point) !== null);
  const parts = [shown.filter(({ kind }) => kind === "front"), shown.filter(({ kind }) => kind !== "front")] as const;
  const [xs, ys] = [({ throughput }: FrontPoint) => throughput, (point: FrontPoint) => valueOn(axis, point) ?? 0];
  const x = brokenScaleOf(parts[0].map(xs), parts[1].map(xs), width);
  const y = brokenScaleOf(parts[0].map(ys), parts[1].map(ys), height, 4);
  const farOf = (point: FrontPoint): string | null => {
    const [across, up] = [x.side(xs(point)), y.side(ys(point))];
    if (across === 0 && up === 0) return null;
    const told = [...(across === 0 ? [] : [formatValue("throughput", xs(point))]), ...(up === 0 ? [] : [formatOn(axis, ys(point))])].join(", ");
    const arrow = ARROWS[(up + 1) * 3 + across + 1] ?? "";
    return across < 0 ? `${arrow} ${told}` : `${told} ${arrow}`;
  };
  const sizes = shown.map((point) => valueOn(otherAxis(axis), point)).filter((value) => value !== null);
  const [least, most] = [Math.min(...sizes), Math.max(...sizes)];
  const marks = shown.map((point): Mark => {
    const own = { x: x.place(xs(point)), y: height - y.place(ys(point)) };
    return { point, own, ...own, radius: radiusOf(valueOn(otherAxis(axis), point) ?? least, least, most), far: farOf(point) };
  });
  return { x, y, marks: apart(marks, width, height), missing: points.length - shown.length, sizes: most > least ? [least, most] : null };
}

export const otherAxis = (axis: Axis): Axis => (axis === "energy" ? "memory" : "energy");

export const formatOn = (axis: Axis, value: number): string => (axis === "energy" ? formatJoules(value) : formatBytes(Math.round(value)));

/** All figures of a point, for the line under the chart. */
export function figuresOf({ throughput, energy, memory, latency, devices }: FrontPoint): string {
  const parts = [
    formatValue("throughput", throughput),
    `${formatDuration(latency)} for one frame`,
    energy === null ? "energy not known" : `at most ${formatJoules(energy)} a device`,
    `at most ${formatBytes(memory)} a device`,
    plural(devices, "device"),
  ];
  return parts.join(" · ");
}

/** For screen readers. */
export function labelOf(point: FrontPoint): string {
  const what = point.title.charAt(0).toUpperCase() + point.title.slice(1);
  const opens = point.plan === null ? "" : ". Enter opens its plan";
  return `${what}: ${figuresOf(point).replaceAll(" · ", ", ")}${point.estimated ? ", estimated" : ""}${opens}`;
}

/** The point to which an arrow key leads: the next one by throughput, or up and down by the other figure. */
export function neighbour(marks: readonly Mark[], from: string, key: string): Mark | null {
  const along = key === "ArrowLeft" || key === "ArrowRight" ? "x" : key === "ArrowUp" || key === "ArrowDown" ? "y" : null;
  const order = along === null ? [...marks] : [...marks].sort((a, b) => (along === "x" ? a.own.x - b.own.x || b.own.y - a.own.y : b.own.y - a.own.y || a.own.x - b.own.x));
  if (key === "Home") return leftmost(marks);
  if (key === "End") return [...marks].sort((a, b) => a.own.x - b.own.x || b.own.y - a.own.y).at(-1) ?? null;
  if (along === null) return null;
  const place = order.findIndex(({ point }) => point.id === from);
  return order[place + (key === "ArrowRight" || key === "ArrowUp" ? 1 : -1)] ?? null;
}

const leftmost = (marks: readonly Mark[]): Mark | null => [...marks].sort((a, b) => a.own.x - b.own.x || b.own.y - a.own.y)[0] ?? null;
