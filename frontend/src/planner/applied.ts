/** A plan that the planner made, taken over into the plan under the hand. Pure. */
import type { Plan } from "@/api/types";
import { EMPTY_REST, type Content } from "@/plan/content";

/** Where layers are and how tensors travel comes from the planner; blocks, name and notes stay the person's. */
export function takenOver(mine: Content, plan: Plan): Content {
  const { blocks, name, notes } = mine.rest;
  const { version, network, placement, shards, ...rest } = { ...EMPTY_REST, ...plan };
  void version;
  void network;
  return { placement, shards, rest: { ...rest, blocks, name, notes } };
}
