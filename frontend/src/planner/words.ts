/** The planner's findings in plain words. Pure. */
import type { PlanProblem } from "@/api/types";
import { formatBytes, formatCount, formatDuration, formatFps, formatPercent, plural } from "@/app/format";
import { formatJoules } from "@/power/words";
import type { Answer, Baseline, Objective, Obstacle, PlannerStrategy, Prediction, Resource } from "./types";

export const OBJECTIVES: readonly (readonly [objective: Objective, title: string])[] = [
  ["throughput", "Most frames per second"],
  ["latency", "Shortest time of one frame"],
  ["max_energy", "Least energy on the device that takes most"],
  ["total_energy", "Least energy of all devices together"],
  ["max_memory", "Least memory on the device that needs most"],
];

export const STRATEGY_WORDS: readonly (readonly [strategy: PlannerStrategy, title: string, what: string])[] = [
  ["replicas", "Replicas", "Several devices share the frames of a run of layers."],
  ["spatial", "Rows and columns of maps", "Devices compute bands or tiles of a layer, with all its weights. Exact."],
  ["output_channels", "Filters", "Each device holds some of a layer's filters. Exact."],
  ["input_channels", "Input channels", "Each device takes some input channels; partial sums are added. Exact."],
  ["spatial_independent", "Independent tiles (approximate)", "Tiles exchange nothing; answers change a little at their borders."],
];

/** A figure in the unit of what is to be best. */
export function formatValue(objective: Objective, value: number): string {
  switch (objective) {
    case "throughput":
      return `${value < 9999.5 ? formatFps(value) : formatCount(value)} frames/s`;
    case "latency":
      return formatDuration(value);
    case "max_energy":
    case "total_energy":
      return `${formatJoules(value)} per frame`;
    case "max_memory":
      return formatBytes(Math.round(value));
  }
}

type Proved = Pick<Answer, "objective" | "value" | "bound" | "gap" | "proved">;

/** A bound so far away was not found: it stands for none. */
const FAR = 1000;

/** Whether anything is known of how good a plan can be at most. */
export const isBounded = ({ value, bound }: Pick<Proved, "value" | "bound">): boolean => value > 0 && bound > 0 && Math.max(value / bound, bound / value) < FAR;

/** How good the answer is, as far as it is known: "proved optimal", "at most 3 % better is possible". */
export function gapWords(answer: Omit<Proved, "objective">): string {
  if (answer.proved) return "proved optimal";
  return isBounded(answer) ? `at most ${formatPercent(answer.gap)} better is possible` : "not known how much better is possible";
}

/** What no plan of the searched space beats; null where that is not known. */
export function boundWords(answer: Proved): string | null {
  if (answer.proved || !isBounded(answer)) return null;
  return `No plan ${answer.objective === "throughput" ? "exceeds" : "gets below"} ${formatValue(answer.objective, answer.bound)}.`;
}

/** The studio's name for the plans in which each device computes one run of layers. */
const ONE_RUN = "one run of layers per device";
/** What is the same but for rounding; also the studio's tolerance of proofs. */
const SAME = 1e-4;

/** What no plan with one run of layers per device beats; null where it is not known, or was all that was asked. */
export function contiguousWords({ objective, value, contiguous_bound: bound, space }: Pick<Answer, "objective" | "value" | "contiguous_bound" | "space">): string | null {
  if (bound === null || space === ONE_RUN || !isBounded({ value, bound })) return null;
  const none = `With ${ONE_RUN} none ${objective === "throughput" ? "beats" : "gets below"} ${formatValue(objective, bound)}`;
  const better = objective === "throughput" ? value / bound - 1 : 1 - value / bound;
  if (better > SAME) return `${none}; this plan is ${formatPercent(better)} better.`;
  return Math.abs(better) <= SAME ? `${none}; this plan does as well.` : `${none}.`;
}

/** What a resource is and whose, as part of a sentence: "the processor of board-1". */
export function resourceWords({ kind, name }: Pick<Resource, "kind" | "name">): string {
  switch (kind) {
    case "cores":
      return `the processor of ${name}`;
    case "lane": {
      const { device, lane } = laneOf(name);
      return lane === "" || lane === device ? `the stages of ${device}` : `the stages of ${device} on ${lane}`;
    }
    case "link": {
      const { source, target } = endsOf(name);
      return `the link ${source} → ${target}`;
    }
    case "interface": {
      const { device, inwards } = interfaceOf(name);
      return `what ${device} ${inwards ? "receives" : "sends"}`;
    }
  }
}

/** The same, short, for a bar: "board-1 processor". */
export function resourceLabel({ kind, name }: Pick<Resource, "kind" | "name">): string {
  switch (kind) {
    case "cores":
      return `${name} processor`;
    case "lane": {
      const { device, lane } = laneOf(name);
      return `${device} ${lane === "" || lane === device ? "stages" : lane}`;
    }
    case "link": {
      const { source, target } = endsOf(name);
      return `${source} → ${target}`;
    }
    case "interface": {
      const { device, inwards } = interfaceOf(name);
      return `${device} ${inwards ? "in" : "out"}`;
    }
  }
}

/** Names of lanes are `device/lane`; a device's name holds no slash, a lane's may. */
export function laneOf(name: string): { device: string; lane: string } {
  const slash = name.indexOf("/");
  return slash < 0 ? { device: name, lane: "" } : { device: name.slice(0, slash), lane: name.slice(slash + 1) };
}

export function endsOf(name: string): { source: string; target: string } {
  const arrow = name.indexOf("->");
  return arrow < 0 ? { source: name, target: "" } : { source: name.slice(0, arrow), target: name.slice(arrow + 2) };
}

export function interfaceOf(name: string): { device: string; inwards: boolean } {
  const space = name.lastIndexOf(" ");
  return { device: space < 0 ? name : name.slice(0, space), inwards: name.slice(space + 1) === "in" };
}

/** Why a plan is no faster, in a sentence. */
export function bottleneckWords({ kind, name, busy_s }: Pick<Resource, "kind" | "name" | "busy_s">): string {
  const time = `${formatBusy(busy_s)} for each frame`;
  const what = capitalised(resourceWords({ kind, name }));
  switch (kind) {
    case "cores":
    case "link":
      return `${what} is busy all the time: ${time}.`;
    case "lane":
      return `${what} take turns, ${time}: one of them always computes.`;
    case "interface":
      return `${what} fills its network interface: ${time}.`;
  }
}

/** Time for each frame; what is less than can be told is not nothing. */
export const formatBusy = (seconds: number): string => (seconds > 0 && seconds < 5e-6 ? `<0.01\u202fms` : formatDuration(seconds));

/** For the beginning of a sentence. */
export const capitalised = (text: string): string => text.charAt(0).toUpperCase() + text.slice(1);

type Unit = "throughput" | "seconds" | "joules" | "bytes" | "count";

/** In which unit a limit is told; the studio's names of limits say it. */
function unitOf(limit: string): Unit | null {
  if (limit.includes("throughput")) return "throughput";
  if (limit.includes("latency")) return "seconds";
  if (limit.includes("energy")) return "joules";
  if (limit.includes("memory")) return "bytes";
  return limit.includes("devices") ? "count" : null;
}

function inUnit(value: number, unit: Unit): string {
  switch (unit) {
    case "throughput":
      return formatValue("throughput", value);
    case "seconds":
      return formatDuration(value);
    case "joules":
      return formatJoules(value);
    case "bytes":
      return formatBytes(Math.round(value));
    case "count":
      return String(Math.round(value));
  }
}

/** By how much a limit is missed: "allowed 200 MB, at least 310 MB needed"; null where lifting it alone does not help. */
export function obstacleFigures({ limit, allowed, needed }: Pick<Obstacle, "limit" | "allowed" | "needed">): string | null {
  const unit = unitOf(limit);
  if (unit === null || allowed === null) return null;
  const asked = inUnit(allowed, unit);
  if (needed === null) return unit === "throughput" ? `asked for ${asked}` : `allowed ${asked}`;
  const told = inUnit(needed, unit);
  if (unit === "throughput") return `asked for ${asked}, at most ${told} possible`;
  return `allowed ${asked}, at least ${told} needed`;
}

/** Of what nothing was measured, and on which devices. */
export function estimatedOf({ devices }: Pick<Prediction, "devices">): { what: readonly string[]; devices: readonly string[] }[] {
  const groups = Map.groupBy(devices.filter(({ estimated }) => estimated.length > 0), ({ estimated }) => estimated.join(" "));
  return [...groups.values()].map((group) => ({ what: group[0]?.estimated ?? [], devices: group.map(({ device }) => device) }));
}

const MEASURED_BY: Record<string, string> = { compute: "computing", carry: "sending and receiving", codecs: "codecs", power: "power" };

export const estimateWords = (what: readonly string[]): string => what.map((one) => MEASURED_BY[one] ?? one).join(", ");

/** What is said of estimates is said beside the buttons that measure. */
const OF_ESTIMATES = /profile it first|measures them|measure the links|was not measured; measure it|until it is profiled again/iu;

/** Notes and warnings without those that the box about estimates stands for. */
export const besidesEstimates = (notes: readonly string[]): string[] => [...new Set(notes)].filter((note) => !OF_ESTIMATES.test(note));

/** Limits whose loosening helps first; those that do not help alone apart, where any does. */
export function sortedObstacles(obstacles: readonly Obstacle[]): { helping: readonly Obstacle[]; others: readonly Obstacle[] } {
  const helps = ({ allowed, needed }: Obstacle) => allowed === null || needed !== null;
  const helping = obstacles.filter(helps);
  return helping.length === 0 ? { helping: obstacles, others: [] } : { helping, others: obstacles.filter((obstacle) => !helps(obstacle)) };
}

/** Problems of a plan that do not keep it from being predicted. */
const BESIDE = new Set(["over_memory", "device_cannot"]);

/** Why nothing can be predicted of a plan; null where it can. */
export function unpredictable(unplaced: number, problems: readonly PlanProblem[]): string | null {
  if (unplaced > 0) return `${plural(unplaced, "layer")} of the plan ${unplaced === 1 ? "is" : "are"} on no device. Place all, or have a plan suggested: then it is told here what limits it.`;
  const wrong = problems.find(({ severity, code }) => severity === "error" && !BESIDE.has(code));
  return wrong ? `Nothing can be predicted of this plan: ${wrong.message}` : null;
}

/** Whether the whole network on every device does more than the best plan that was found; baselines keep no other limits. */
export const sharedIsBetter = ({ objective, prediction }: Pick<Answer, "objective" | "prediction">, baselines: readonly Pick<Baseline, "prediction">[]): boolean =>
  objective === "throughput" && baselines.some((baseline) => baseline.prediction.devices.length > 1 && baseline.prediction.throughput_per_s > prediction.throughput_per_s * 1.001);

/** A figure compared with what it was: "+12 %", "−3 %"; null where nothing changed that is worth telling. */
export function changeWords(before: number | null, after: number | null): string | null {
  if (before === null || after === null || before <= 0) return null;
  const share = after / before - 1;
  if (Math.abs(share) < 0.0005) return null;
  return `${share > 0 ? "+" : "−"}${formatPercent(Math.abs(share))}`;
}
