/** Reading a plan document from a file. Versions 1 and 2 are read; version 1 knew neither shards nor blocks. */
import type { CodecChoice, Plan, Sharding } from "@/api/types";
import { CODEC_WORDS } from "./codecChoice";
import { contentOf, EMPTY_REST, networkRef, sameForm, type Content, type PlannedModel } from "./content";
import { fitTo, type Fit } from "./fitting";

/** `fit`: it was made for another version of the network, and some of it can be taken all the same. */
export type PlanReading = { content: Content } | { problem: string; nextStep: string; fit?: Fit };

const record = (value: unknown): Record<string, unknown> | null =>
  typeof value === "object" && value !== null && !Array.isArray(value) ? (value as Record<string, unknown>) : null;

interface Refusal {
  problem: string;
  nextStep: string;
}

const refuse = (problem: string, nextStep: string): Refusal => ({ problem, nextStep });
const CHOOSE = "Choose a plan document, as Export makes it.";

/** Read a JSON object; null for anything else. Throws SyntaxError. */
export const readObject = (text: string): Record<string, unknown> | null => record(JSON.parse(text));

/** What the document may leave out of a sharding. */
const DEFAULTS: Record<Sharding["strategy"], object> = {
  spatial: { unit: "share", rows: [1], columns: [1], exchange_before: [] },
  spatial_independent: { unit: "share", rows: [1], columns: [1] },
  output_channels: { unit: "share", shares: [] },
  input_channels: { unit: "share", shares: [] },
};

const textList = (value: unknown): value is string[] => Array.isArray(value) && value.every((item) => typeof item === "string");

const isNumbers = (value: unknown): boolean => Array.isArray(value) && value.every((item) => typeof item === "number");

/** Whether every entry of a list of named things is as it must be; there may be none. */
const named = (value: unknown, isGood: (entry: unknown) => boolean): boolean => value === undefined || Object.values(record(value) ?? { no: null }).every(isGood);

function readShardings(value: unknown): Sharding[] | null {
  if (value === undefined) return [];
  if (!Array.isArray(value)) return null;
  const entries = value.map((item) => {
    const entry = record(item);
    const strategy = entry?.["strategy"];
    if (!entry || typeof strategy !== "string" || !Object.hasOwn(DEFAULTS, strategy)) return null;
    const whole: Record<string, unknown> = { ...DEFAULTS[strategy as Sharding["strategy"]], ...entry };
    const isRead = textList(whole["layers"]) && textList(whole["devices"]) && ["rows", "columns", "shares"].every((name) => isNumbers(whole[name] ?? [])) && textList(whole["exchange_before"] ?? []);
    // The studio checks the rest when it is asked about the plan, before anything is taken over.
    return isRead ? (whole as unknown as Sharding) : null;
  });
  return entries.every((entry) => entry !== null) ? entries : null;
}

/** Every entry with all its fields; the studio checks them when it is asked about the plan. */
function readCodecs(value: unknown): CodecChoice[] | null {
  if (value === undefined) return [];
  if (!Array.isArray(value)) return null;
  const entries = value.map((item) => {
    const entry = record(item);
    const codec = CODEC_WORDS.find((words) => words.codec === entry?.["codec"])?.codec;
    return entry && codec ? { producer: "*", consumer: "*", tensors: [], low: 0, high: null, ...(entry as Partial<CodecChoice>), codec } : null;
  });
  return entries.every((entry) => entry !== null) ? entries : null;
}

const form = ({ simplified, dims }: { simplified: boolean; dims: Record<string, number> }): string => {
  const sizes = Object.entries(dims).map(([name, size]) => `${name} = ${size}`);
  return (simplified ? "its simplified form" : "its form as in the file") + (sizes.length > 0 ? ` with ${sizes.join(", ")}` : "");
};

/** Check what the page itself must know; the studio's report names every other thing that is wrong. */
export function readPlan(text: string, model: PlannedModel & { layers: readonly { name: string }[] }): PlanReading {
  let body: Record<string, unknown> | null;
  try {
    body = readObject(text);
  } catch {
    return refuse("This is no JSON.", CHOOSE);
  }
  const placement = record(body?.["placement"]);
  const version = body?.["version"];
  if (!body || (version !== 1 && version !== 2) || !placement) return refuse("This is no plan document of version 1 or 2.", CHOOSE);
  for (const [layer, device] of Object.entries(placement)) if (typeof device !== "string") return refuse(`The device of ${layer} is not a name.`, "Correct the file.");
  const shards = readShardings(body["shards"]);
  if (!shards) return refuse("One of the plan's shards is no division of layers over devices.", "Correct `shards` in the file: each has a strategy, layers and devices.");
  const codecs = readCodecs(body["codecs"]);
  if (!codecs) return refuse("One of the plan's codecs is none.", "Correct `codecs` in the file: each entry names a codec.");
  const isRead = named(body["blocks"], textList) && named(body["resources"], (entry) => typeof record(entry)?.["device"] === "string") && named(body["replicas"], (entry) => textList(record(entry)?.["places"]));
  if (!isRead) return refuse("The plan's blocks, resources or replicas are not as they must be.", "Correct them in the file: each is an object with an entry for each name.");
  const content = contentOf({ ...EMPTY_REST, ...body, codecs, version: 2, network: networkRef(model), placement: placement as Record<string, string>, shards } as Plan);
  const layers = model.layers.map(({ name }) => name);
  const refusal = otherVersion(record(body["network"]), placement, model, new Set(layers));
  if (!refusal) return { content };
  const fit = fitTo(content, layers);
  return fit.layers > 0 ? { ...refusal, fit } : refusal;
}

/** Why the plan is not for this version of the network; null where it is. */
function otherVersion(network: Record<string, unknown> | null, placement: object, model: PlannedModel, known: ReadonlySet<string>): Refusal | null {
  if (network?.["sha256"] !== model.digest) {
    return refuse(`This plan is for another network (${String(network?.["name"] ?? "without a name")}).`, `Choose a plan that was made for ${model.name}.`);
  }
  const ref = { simplified: network["simplified"] === true, dims: (record(network["dims"]) ?? {}) as Record<string, number> };
  if (!sameForm(ref, model)) {
    return refuse(`This plan is for the network in ${form(ref)}; it is open in ${form(networkRef(model))}.`, "Open the network in the plan's form first, or choose another plan.");
  }
  const unknown = Object.keys(placement).find((layer) => !known.has(layer));
  return unknown === undefined ? null : refuse(`The network has no layer ${unknown}.`, "Correct the name of the layer in the file.");
}
