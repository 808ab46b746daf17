/** What a running deployment does now, from the figures of its devices: rates of its cuts, times of its stages, and who is busiest. Pure. */
import type { Deployment, DeviceLive, Run } from "@/api/types";
import { own } from "@/app/own";
import type { Prediction } from "@/planner/types";
import { STALE_AFTER_MS, type Latest } from "./store";

export const STUDIO = "studio";

/** What passes from one device to another now. */
export interface PairNow {
  source: string;
  target: string;
  framesPerS: number;
  /** As the codecs made it. */
  wireBytesPerS: number;
  /** Frames sent that are not begun there. */
  inFlight: number;
  stalledS: number;
  connected: boolean;
}

export interface StageNow {
  stage: string;
  device: string;
  framesPerS: number;
  computeS: number | null;
  waitS: number | null;
  queued: number;
  lost: number;
  predictedS: number | null;
}

/** How much of the time something works on frames. */
export interface Load {
  kind: "device" | "link";
  /** The device, or `source->target`. */
  name: string;
  share: number;
}

export interface PipelineNow {
  deployment: string;
  framesPerS: number;
  /** By `source>target`. */
  pairs: ReadonlyMap<string, PairNow>;
  stages: readonly StageNow[];
  /** The busiest first. */
  loads: readonly Load[];
}

type Told = Pick<Deployment, "id" | "epoch" | "stages" | "plan">;
type Heard = Readonly<Record<string, Latest>>;

export const pairKey = (source: string, target: string): string => `${source}>${target}`;

/** The registered device on which an instance of a stage runs: `a-0`, or `group-0@b` of replicas; the ends are the studio's. */
export function deviceOfInstance({ stages, plan }: Pick<Told, "stages" | "plan">, instance: string): string {
  const sign = instance.indexOf("@");
  const stage = stages.find(({ name }) => name === (sign < 0 ? instance : instance.slice(0, sign)));
  if (!stage) return STUDIO;
  if (sign < 0) return stage.devices[0] ?? stage.device;
  const place = instance.slice(sign + 1);
  return own(plan.resources, place)?.device ?? place;
}

const fresh = (heard: Latest | undefined, now: number): heard is Latest => heard !== undefined && now - heard.receivedAt <= STALE_AFTER_MS;

/** Each device of the deployment that was heard of lately. */
function livesOf({ stages, plan }: Told, heard: Heard, now: number): DeviceLive[] {
  const names = new Set(stages.flatMap(({ devices, device }) => (devices.length > 0 ? devices : [own(plan.resources, device)?.device ?? device])));
  return [...names].flatMap((name) => {
    const latest = own(heard, name);
    return fresh(latest, now) ? [latest.live] : [];
  });
}

function pairsOf(told: Told, lives: readonly DeviceLive[]): Map<string, PairNow> {
  // Both ends tell of a link; what is sent is told where it is sent from, and by the other end where that is the studio.
  const links = new Map<string, { live: DeviceLive["links"][number]; source: string; target: string }>();
  for (const live of lives) {
    for (const link of live.links) {
      if (link.deployment !== told.id) continue;
      const arrow = link.link.indexOf("->");
      const [source, target] = [deviceOfInstance(told, link.link.slice(0, arrow)), deviceOfInstance(told, link.link.slice(arrow + 2))];
      if (source !== target && (live.device === source || !links.has(link.link))) links.set(link.link, { live: link, source, target });
    }
  }
  const pairs = new Map<string, PairNow>();
  for (const { live, source, target } of links.values()) {
    const key = pairKey(source, target);
    const known = pairs.get(key) ?? { source, target, framesPerS: 0, wireBytesPerS: 0, inFlight: 0, stalledS: 0, connected: true };
    pairs.set(key, {
      ...known,
      framesPerS: Math.max(known.framesPerS, live.frames_per_s),
      wireBytesPerS: known.wireBytesPerS + live.wire_bytes_per_s,
      inFlight: known.inFlight + live.in_flight,
      stalledS: Math.max(known.stalledS, live.stalled_s),
      connected: known.connected && live.connected,
    });
  }
  return pairs;
}

function stagesOf(told: Told, lives: readonly DeviceLive[], prediction: Prediction | null): StageNow[] {
  const order = new Map(told.stages.map(({ name }, i) => [name, i]));
  const base = (name: string) => name.split("@")[0] ?? name;
  return lives
    .flatMap((live) =>
      live.stages
        .filter((stage) => stage.deployment === told.id && stage.epoch === told.epoch)
        .map((stage) => ({
          stage: stage.stage,
          device: live.device,
          framesPerS: stage.frames_per_s,
          computeS: stage.compute_s ?? null,
          waitS: stage.queue_wait_s ?? null,
          queued: stage.queued,
          lost: stage.lost,
          predictedS: prediction?.stages.find((one) => one.device === live.device && base(one.stage) === base(stage.stage))?.seconds ?? null,
        })),
    )
    .sort((a, b) => (order.get(base(a.stage)) ?? 0) - (order.get(base(b.stage)) ?? 0) || (a.stage < b.stage ? -1 : 1));
}

/** Stages of one resource take turns; those of several compute at once. */
function deviceLoad(stages: readonly StageNow[]): number {
  const lanes = new Map<string, number>();
  for (const { stage, computeS, framesPerS } of stages) {
    const lane = stage.replace(/-\d+(@.*)?$/u, "");
    lanes.set(lane, (lanes.get(lane) ?? 0) + (computeS ?? 0) * framesPerS);
  }
  return Math.max(0, ...lanes.values());
}

function loadsOf(lives: readonly DeviceLive[], stages: readonly StageNow[], pairs: ReadonlyMap<string, PairNow>, prediction: Prediction | null): Load[] {
  const devices = [...Map.groupBy(stages, ({ device }) => device)].map(([name, mine]): Load => {
    // What its agent does beside computing, such as receiving and sending, keeps its processor busy too.
    const live = lives.find(({ device }) => device === name);
    const processor = live && live.usable_cores > 0 ? Math.min(live.agent_cores / live.usable_cores, 1) : 0;
    return { kind: "device", name, share: Math.max(deviceLoad(mine), processor) };
  });
  const links = [...pairs.values()].flatMap(({ source, target, wireBytesPerS }): Load[] => {
    const planned = prediction?.links.find((link) => link.source === source && link.target === target);
    if (!planned || planned.wire_bytes <= 0) return [];
    return [{ kind: "link", name: `${source}->${target}`, share: (planned.busy_s / planned.wire_bytes) * wireBytesPerS }];
  });
  return [...devices, ...links].sort((a, b) => b.share - a.share);
}

export function pipelineNow(told: Told, heard: Heard, run: Pick<Run, "state" | "frames_per_s"> | null, prediction: Prediction | null, now: number): PipelineNow {
  const lives = livesOf(told, heard, now);
  const pairs = pairsOf(told, lives);
  const stages = stagesOf(told, lives, prediction);
  const framesPerS = run?.state === "running" ? (run.frames_per_s ?? 0) : 0;
  return { deployment: told.id, framesPerS, pairs, stages, loads: loadsOf(lives, stages, pairs, prediction) };
}

/** How full a link is follows from its prediction: without one it might be what limits, unless a device is as busy as this. */
const BUSY = 0.25;

/** What limits the run now: the busiest device or link, however little that is. */
export function bottleneckOf({ loads, framesPerS }: Pick<PipelineNow, "loads" | "framesPerS">, isPredicted: boolean): Load | null {
  const first = loads[0];
  return first && framesPerS > 0 && first.share > 0 && (isPredicted || first.share >= BUSY) ? first : null;
}

/** How many dots a second stand for so many frames: one each while an eye can follow them, and slowly more for many more. */
export function dotsPerS(framesPerS: number): number {
  if (framesPerS <= 0) return 0;
  return framesPerS <= 3 ? framesPerS : Math.min(3 + 1.2 * Math.log10(framesPerS / 3), 6);
}

/** Where the dots on an edge are, from 0 to 1. `phase` counts the dots that have begun, `room` how many are on the way at once. */
export function dotsAt(phase: number, room: number): number[] {
  if (room <= 0) return [];
  const begun = phase - Math.floor(phase);
  const places: number[] = [];
  for (let place = begun / room; place <= 1; place += 1 / room) places.push(place);
  return places;
}

/** A frame's way through the stages: how it waits, and how long each computes; what is left of its time it travels. */
export interface WayPart {
  kind: "wait" | "compute" | "travel";
  label: string;
  device: string | null;
  seconds: number;
}

/** Means of the last second, not one frame's own times; null where a stage tells nothing. Side by side stages are shown one after the other. */
export function wayOf(stages: readonly StageNow[], latencyS: number | null): WayPart[] | null {
  if (stages.length === 0 || stages.some(({ computeS }) => computeS === null)) return null;
  // Of replicas a frame passes one.
  const passed = [...Map.groupBy(stages, ({ stage }) => stage.split("@")[0] ?? stage).values()].map((group) => {
    const mean = (of: (stage: StageNow) => number) => group.reduce((sum, stage) => sum + of(stage), 0) / group.length;
    const first = group[0] as StageNow;
    return { stage: first.stage.split("@")[0] ?? first.stage, device: group.length > 1 ? null : first.device, compute: mean(({ computeS }) => computeS ?? 0), wait: mean(({ waitS }) => waitS ?? 0) };
  });
  const parts = passed.flatMap(({ stage, device, compute, wait }): WayPart[] => [
    { kind: "wait", label: `waits for ${stage}`, device, seconds: wait },
    { kind: "compute", label: stage, device, seconds: compute },
  ]);
  const told = parts.reduce((sum, { seconds }) => sum + seconds, 0);
  const rest = latencyS === null ? 0 : latencyS - told;
  return [...parts.filter(({ kind, seconds }) => kind !== "wait" || seconds > 0), ...(rest > 0 ? [{ kind: "travel" as const, label: "on links and in the studio", device: null, seconds: rest }] : [])];
}
