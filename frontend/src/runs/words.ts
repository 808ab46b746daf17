/** Runs in plain words. Pure; what is not known is a dash, never 0. */
import type { EnergyFigure, Run, RunReport } from "@/api/types";
import { formatDuration, formatFps } from "@/app/format";
import { ABSENT, isEstimate, joulesOr } from "@/power/words";

export const END_WORDS: Record<Run["state"], string> = { running: "running", finished: "finished", stopped: "stopped", failed: "failed", interrupted: "interrupted" };
export const SOURCE_WORDS: Record<Run["source"], string> = { samples: "sample images", files: "files", random: "random input" };

export const secondsOr = (seconds: number | null | undefined): string => (seconds == null ? ABSENT : formatDuration(seconds));
export const fpsOr = (fps: number | null | undefined): string => (fps == null ? ABSENT : formatFps(fps));

/** `1:02:05` for what lasts hours. */
export function formatLength(seconds: number): string {
  if (seconds < 3600) return formatDuration(seconds);
  const whole = Math.floor(seconds);
  return `${Math.floor(whole / 3600)}:${String(Math.floor(whole / 60) % 60).padStart(2, "0")}:${String(whole % 60).padStart(2, "0")}`;
}

export function formatMoment(at: string): string {
  return new Date(at).toLocaleString([], { dateStyle: "medium", timeStyle: "short" });
}

/** `0.24 J est.`: joules per frame with what makes them doubtful; null where nothing tells. */
export function perFrame(energy: EnergyFigure | undefined): string | null {
  if (!energy || energy.gross_per_frame_j === null) return null;
  return `${joulesOr(energy.gross_per_frame_j)}${isEstimate(energy) ? " est." : ""}`;
}

/** What of a device is busy for a frame, and how much of the time. */
export interface Busiest {
  device: string;
  busyS: number;
  /** Share of the time between two frames; null where the rate is not known. */
  utilisation: number | null;
}

/** Frames that went through the pipeline while its stages were heard: the replicas of a stage share them. */
function framesHeard({ stages, deployment }: Pick<RunReport, "stages" | "deployment">): number {
  const groups = new Map<string, number>();
  const bases = (deployment?.stages ?? []).map(({ name }) => name).sort((a, b) => b.length - a.length);
  for (const { stage, frames } of stages) {
    const base = bases.find((name) => stage.startsWith(name)) ?? stage;
    groups.set(base, (groups.get(base) ?? 0) + frames);
  }
  return Math.max(0, ...groups.values());
}

/** The device that computed longest for a frame, by what was measured; null where nothing was. */
export function busiestOf(report: Pick<RunReport, "stages" | "deployment" | "run">): Busiest | null {
  const frames = framesHeard(report);
  if (frames === 0) return null;
  const seconds = new Map<string, number>();
  for (const { device, compute_s, frames: own } of report.stages) {
    if (compute_s !== null) seconds.set(device, (seconds.get(device) ?? 0) + compute_s * own);
  }
  const [most] = [...seconds].sort(([, a], [, b]) => b - a);
  if (!most) return null;
  const busyS = most[1] / frames;
  const fps = report.run.frames_per_s;
  return { device: most[0], busyS, utilisation: fps === null ? null : Math.min(busyS * fps, 1) };
}

const RESOURCE_WORDS: Record<string, string> = { cores: "computing on", lane: "computing on", link: "the link", interface: "the network of" };

/** `computing on pi-1`, `the link pi-1 to pi-2`. */
export function bottleneckWords({ kind, name }: { kind: string; name: string }): string {
  return `${RESOURCE_WORDS[kind] ?? kind} ${name.replace("->", " to ")}`;
}
