/** What a plan says, besides which network it is for; and the document that says both. */
import type { Model, NetworkRef, Plan, Sharding } from "@/api/types";
import { own } from "@/app/own";

/** Which device each whole layer is on; a layer without an entry is divided or unplaced. */
export type Placement = Readonly<Record<string, string>>;

/** What the editor keeps as it is: blocks, names, notes, and whatever else the document has. */
export type Rest = Readonly<Omit<Plan, "version" | "network" | "placement" | "shards">>;

export interface Content {
  placement: Placement;
  /** Rewrites, applied in order; a later one may divide what an earlier one made. */
  shards: readonly Sharding[];
  rest: Rest;
}

/** A model as far as a plan must name it. */
export type PlannedModel = Pick<Model, "name" | "digest"> & Partial<Pick<NetworkRef, "simplified" | "dims">>;

export const EMPTY_REST: Rest = { blocks: {}, resources: {}, replicas: {}, codecs: [], max_change: 0, micro_batch: 1, name: "", notes: "" };
export const EMPTY: Content = { placement: {}, shards: [], rest: EMPTY_REST };

export function contentOf(plan: Plan): Content {
  const { placement, shards, ...others } = plan;
  const { version, network, ...rest } = others;
  void version;
  void network;
  return { placement, shards, rest };
}

/** The registered device behind a name that `placement` and `shards` use: parts of a device may have names of their own. */
export const deviceOf = ({ rest }: Pick<Content, "rest">, place: string): string => own(rest.resources, place)?.device ?? place;

/** The places behind a name of `placement`: several for replicas, which share the frames. */
export const placesOf = ({ rest }: Pick<Content, "rest">, place: string): readonly string[] => own(rest.replicas, place)?.places ?? [place];

export function networkRef({ name, digest, simplified = false, dims = {} }: PlannedModel): NetworkRef {
  return { sha256: digest, name: name.slice(0, 200), simplified, dims };
}

export function planDocument(model: PlannedModel, { placement, shards, rest }: Content): Plan {
  return { version: 2, network: networkRef(model), placement: { ...placement }, shards: [...shards], ...rest };
}

/** Whether a plan's layers are those of the model as it is loaded now: simplified or not, with the same sizes. */
export function sameForm(ref: Pick<NetworkRef, "simplified" | "dims">, model: PlannedModel): boolean {
  const mine = networkRef(model);
  return ref.simplified === mine.simplified && sameValue(ref.dims, mine.dims);
}

/** Whether two JSON values say the same; the order of an object's entries says nothing. */
export function sameValue(a: unknown, b: unknown): boolean {
  if (Object.is(a, b)) return true;
  if (typeof a !== "object" || typeof b !== "object" || a === null || b === null) return false;
  if (Array.isArray(a) || Array.isArray(b)) {
    return Array.isArray(a) && Array.isArray(b) && a.length === b.length && a.every((item, i) => sameValue(item, b[i]));
  }
  const [left, right] = [a as Record<string, unknown>, b as Record<string, unknown>];
  const keys = Object.keys(left);
  return keys.length === Object.keys(right).length && keys.every((key) => Object.hasOwn(right, key) && sameValue(left[key], right[key]));
}

export function sameContent(a: Content, b: Content): boolean {
  return sameValue(a.placement, b.placement) && sameValue(a.shards, b.shards) && sameValue(a.rest, b.rest);
}
