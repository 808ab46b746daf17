/** Where the fronts between devices stand on the canvas, and what moving one does. Pure. */
import { CARD_HEIGHT, CARD_WIDTH, ROW_GAP } from "@/graph/layout";
import { at } from "@/graph/network";
import { firstFront, lastFront, movedTo, type Boundary } from "@/plan/boundary";
import type { Content } from "@/plan/content";
import { replaceBy, type PlanDelta } from "@/plan/delta";
import { named } from "@/plan/store";
import type { Scene } from "./context";

interface Place {
  x: number;
  y: number;
}

/** Where the handle of a front stands: at the left of the line above the first card after it. */
export function frontPlace({ layout }: Pick<Scene, "layout">, { units, cuts }: Boundary, front: number, atRest: boolean): Place {
  const item = at(layout.items, at(layout.itemOf, at(at(units, Math.min(front, units.length - 1)), 0)));
  if (front >= units.length) return { x: item.x, y: item.y + CARD_HEIGHT + ROW_GAP / 2 };
  // A block that holds layers of both is cut through in its middle.
  return { x: item.x, y: atRest && cuts ? item.y + CARD_HEIGHT / 2 : item.y - ROW_GAP / 2 };
}

/** Handles that would cover one another, as where a block is cut through and another front stands above it, lie side by side: by front, how far from its line. */
export function lanesOf(places: readonly Place[]): number[] {
  const lanes: number[] = [];
  places.forEach(({ x, y }, i) => {
    const taken = new Set(lanes.filter((_, other) => at(places, other).x === x && Math.abs(at(places, other).y - y) < CARD_HEIGHT));
    let lane = 0;
    while (taken.has(lane)) lane += 1;
    lanes[i] = lane;
  });
  return lanes;
}

/** The front whose place is nearest to a point of the canvas. */
export function frontAt(scene: Scene, boundary: Boundary, { x, y }: Place): number {
  let [best, least] = [boundary.front, Infinity];
  for (let front = firstFront(boundary); front <= lastFront(boundary); front += 1) {
    const place = frontPlace(scene, boundary, front, false);
    const distance = Math.hypot(place.x + CARD_WIDTH / 2 - x, place.y - y);
    if (distance < least) [best, least] = [front, distance];
  }
  return best;
}

/** The edit that moves a front, and where it puts layers. */
export function moving({ network }: Scene, content: Content, boundary: Boundary, front: number): { delta: PlanDelta | null; places: string[] } {
  const moves = movedTo(network, content, boundary, front);
  const label = `${named([...moves.keys()])} → ${[...new Set(moves.values())].join(" and ")}`;
  const delta = moves.size === 0 ? null : replaceBy(content, { ...content, placement: { ...content.placement, ...Object.fromEntries(moves) } }, label);
  return { delta, places: [...new Set(moves.values())] };
}
