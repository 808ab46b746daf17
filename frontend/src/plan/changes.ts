/** The figures of a plan, old beside new, as rows and as a sentence. Pure. */
import { formatBytes, formatDuration } from "@/app/format";
import { changeWords, formatValue } from "@/planner/words";
import { joulesOr } from "@/power/words";
import type { Figures } from "./figures";

export type FigureName = "throughput" | "latency" | "energy" | "memory" | "cut";

export interface FigureRow {
  name: FigureName;
  title: string;
  /** Says what exactly is meant. */
  what: string;
  /** Null: nothing to compare with, or the same. */
  old: string | null;
  now: string;
  /** "+12 %"; null where it did not change, or one of both plans lacks layers. */
  change: string | null;
  /** Null where `change` is. */
  isBetter: boolean | null;
}

interface Kind {
  name: FigureName;
  title: string;
  what: string;
  of: (figures: Figures) => number | null;
  write: (value: number) => string;
  moreIsBetter: boolean;
}

const KINDS: readonly Kind[] = [
  { name: "throughput", title: "Throughput", what: "Frames per second, predicted", of: ({ throughput }) => throughput, write: (value) => formatValue("throughput", value), moreIsBetter: true },
  { name: "latency", title: "Latency", what: "Time of one frame that is alone, predicted", of: ({ latency }) => latency, write: formatDuration, moreIsBetter: false },
  { name: "energy", title: "Energy", what: "Of all devices for one frame, predicted", of: ({ energyJ }) => energyJ, write: joulesOr, moreIsBetter: false },
  { name: "memory", title: "Memory", what: "On the device that needs most", of: ({ memoryBytes }) => memoryBytes, write: (value) => formatBytes(Math.round(value)), moreIsBetter: false },
  { name: "cut", title: "Cuts", what: "Bytes between devices for one frame", of: ({ cutBytes }) => cutBytes, write: (value) => formatBytes(Math.round(value)), moreIsBetter: false },
];

export const ABSENT = "–";

export function figureRows(before: Figures | null, now: Figures): FigureRow[] {
  // A plan that lacks layers has fewer bytes between devices, and is no better for it.
  const isComparable = before !== null && (before.throughput === null) === (now.throughput === null);
  return KINDS.map(({ name, title, what, of, write, moreIsBetter }) => {
    const [old, value] = [before ? of(before) : null, of(now)];
    const written = value === null ? ABSENT : write(value);
    const was = old === null ? null : write(old);
    const differs = old !== null && value !== null && was !== written;
    return {
      name,
      title,
      what,
      old: differs ? was : null,
      now: written,
      change: differs && isComparable ? changeWords(old, value) : null,
      isBetter: differs && isComparable ? value > old === moreIsBetter : null,
    };
  });
}

/** Bytes between two devices, before and after. */
export interface PassingChange {
  from: string;
  to: string;
  old: number;
  now: number;
}

/** Only pairs that changed, the largest change first. */
export function passingChanges(before: Figures | null, now: Figures): PassingChange[] {
  if (!before) return [];
  const pairs = new Set([...before.passing.keys(), ...now.passing.keys()]);
  return [...pairs]
    .map((pair) => {
      const [from = "", to = ""] = pair.split("\n");
      return { from, to, old: before.passing.get(pair) ?? 0, now: now.passing.get(pair) ?? 0 };
    })
    .filter(({ old, now: value }) => Math.round(old) !== Math.round(value))
    .sort((a, b) => Math.abs(b.now - b.old) - Math.abs(a.now - a.old));
}

/** "1241" of "1241 frames/s" beside "697 frames/s": a unit that both have is written once. */
export function withoutUnit(old: string, now: string): string {
  const unit = /[\s\u202f][^\d]+$/u.exec(now)?.[0];
  return unit !== undefined && old.endsWith(unit) ? old.slice(0, -unit.length) : old;
}

const SPOKEN: readonly FigureName[] = ["latency", "throughput", "cut"];

/** "latency 84 ms to 71 ms, throughput 12 frames/s to 14 frames/s"; null where nothing of it changed. */
export function spokenChanges(before: Figures | null, now: Figures): string | null {
  const rows = figureRows(before, now);
  const told = SPOKEN.flatMap((name) => rows.find((row) => row.name === name && row.old !== null) ?? []).map(({ title, old, now: value }) => `${title.toLowerCase()} ${old ?? ""} to ${value}`);
  return told.length === 0 ? null : told.join(", ");
}
