/** Whether an edit would make a plan that cannot run, and why: what the page knows at once, and what the studio says of it. Pure. */
import type { Device, PlanProblem } from "@/api/types";
import { formatBytes } from "@/app/format";
import type { Network } from "@/graph/network";
import { deviceOf, placesOf, type Content } from "./content";
import { estimate, RUNTIME_BYTES } from "./estimate";

/** What is to be known of a device to judge what is put onto it. */
export type Board = Pick<Device, "name" | "state" | "problem"> & { check: Pick<NonNullable<Device["check"]>, "memory_bytes"> | null };

export interface Verdict {
  /** Why it cannot be done; null where nothing speaks against it. */
  refused: string | null;
  /** What speaks against it without forbidding it. */
  warnings: readonly string[];
  /** The studio's error that refuses it. */
  problem?: PlanProblem;
}

export const FINE: Verdict = { refused: null, warnings: [] };

const refusal = (refused: string): Verdict => ({ refused, warnings: [] });

/** The memory that the last check of a device found usable; null where it is not known. */
export const memoryOf = ({ check }: Pick<Board, "check">): number | null => check?.memory_bytes || null;

/** What a device is sure to need, as the studio reckons it at the least (`partition/check.py`); it knows more and may find more. */
const leastMemory = ({ weightBytes, activationBytes }: { weightBytes: number; activationBytes: number }): number => RUNTIME_BYTES + weightBytes + activationBytes;

/** Whether a place can take layers at all, whatever they are. */
export function judgePlace(content: Content, place: string, boards: ReadonlyMap<string, Board>): Verdict {
  if (place === "") return FINE;
  const warnings: string[] = [];
  for (const device of new Set(placesOf(content, place).map((one) => deviceOf(content, one)))) {
    const board = boards.get(device);
    if (!board) return refusal(`There is no device ${device}. Register it, or choose another.`);
    const why = board.problem?.message;
    if (board.state === "cannot") return refusal(`${device} cannot run layers${why === undefined ? "" : `: ${why}`}`);
    if (board.state === "unreachable") warnings.push(`${device} could not be reached when it was last checked.`);
    if (board.state === "unknown") warnings.push(`${device} was not checked yet.`);
  }
  return { refused: null, warnings };
}

/** Whether the places that an edit puts layers onto can take them: `after` is the plan as it would be. */
export function judge(network: Network, after: Content, places: readonly string[], boards: ReadonlyMap<string, Board>): Verdict {
  const warnings: string[] = [];
  for (const place of places) {
    const verdict = judgePlace(after, place, boards);
    if (verdict.refused !== null) return verdict;
    warnings.push(...verdict.warnings);
  }
  const costs = estimate(network, after).devices;
  for (const device of new Set(places.filter((place) => place !== "").flatMap((place) => placesOf(after, place)).map((place) => deviceOf(after, place)))) {
    const cost = costs.get(device);
    const board = boards.get(device);
    const limit = board ? memoryOf(board) : null;
    if (!cost || limit === null) continue;
    const least = leastMemory(cost);
    if (least > limit) return refusal(`${device} has ${formatBytes(limit)} of memory; its layers would need at least ${formatBytes(Math.round(least))}.`);
    if (cost.memoryBytes > limit) warnings.push(`${device} has ${formatBytes(limit)} of memory; its layers may need ${formatBytes(Math.round(cost.memoryBytes))} while they are loaded.`);
  }
  return { refused: null, warnings };
}

/** Errors that a plan on the way may have: not all is placed yet. */
const ON_THE_WAY = new Set(["unplaced_layer"]);

/**
 * What the studio's reports before and after an edit say of it. An error that stands already does not speak against the
 * edit, unless it is of a place that the edit puts more onto.
 */
export function judgeReports(before: readonly PlanProblem[], after: readonly PlanProblem[], devices: readonly string[]): Verdict {
  const keyOf = ({ code, layer, device }: PlanProblem) => JSON.stringify([code, layer ?? null, device ?? null]);
  const known = new Set(before.map(keyOf));
  const fresh = after.filter((problem) => !ON_THE_WAY.has(problem.code) && (!known.has(keyOf(problem)) || (problem.device != null && devices.includes(problem.device))));
  const words = ({ message, next_step: step }: PlanProblem) => (step == null ? message : `${message} ${step}`);
  const [error] = fresh.filter(({ severity }) => severity === "error");
  return { ...(error ? { problem: error } : {}), refused: error ? words(error) : null, warnings: fresh.filter(({ severity }) => severity !== "error").map(({ message }) => message) };
}
