/** What a person asks the planner for, as the form holds it and as it travels. Pure. */
import type { Device } from "@/api/types";
import { own } from "@/app/own";
import { CODEC_WORDS } from "@/plan/codecChoice";
import { deviceOf, type Content } from "@/plan/content";
import type { QuestionForm, Typed } from "./questionForm";
import type { Limits, ParetoQuestion, PlannerStrategy, Question } from "./types";

const MB = 1e6;
const MOST_POINTS = 40;

/** The devices for which there can be plans; those that cannot run the agent are told of, but not offered. */
export const plannable = (devices: readonly Pick<Device, "name" | "state">[]): string[] => devices.filter(({ state }) => state !== "cannot").map(({ name }) => name);

/** The devices that may be used, in the order in which they are registered. */
export const chosenDevices = ({ without }: Pick<QuestionForm, "without">, devices: readonly string[]): string[] => devices.filter((name) => !without.includes(name));

/** What may be done besides whole layers: nothing where each device computes one run of them. */
export const allowedStrategies = ({ contiguous, strategies }: Pick<QuestionForm, "contiguous" | "strategies">): readonly PlannerStrategy[] => (contiguous ? [] : strategies);

/** The question with replicas, which several runs of layers go with. */
export const withReplicas = (form: QuestionForm): QuestionForm => ({ ...form, contiguous: false, strategies: [...new Set([...form.strategies, "replicas" as const])] });

function codecsOf({ codecs, maxChangePercent }: QuestionForm): string[] {
  const lossy = maxChangePercent > 0;
  const allowed = CODEC_WORDS.filter(({ codec, lossless }) => codec !== "auto" && codec !== "none" && (lossless ? codecs || lossy : lossy));
  return ["none", ...allowed.map(({ codec }) => codec)];
}

/** Bounds of devices that may not be used bound nothing. */
export function limitsOf(form: QuestionForm, devices: readonly string[]): Limits {
  const chosen = chosenDevices(form, devices);
  const memory = chosen.flatMap((name) => {
    const typed = own(form.memoryMb, name);
    return typed == null || typed <= 0 ? [] : [[name, Math.round(typed * MB)] as const];
  });
  return {
    min_throughput_per_s: form.minThroughput,
    max_latency_s: form.maxLatencyMs === null ? null : form.maxLatencyMs / 1000,
    max_energy_j: form.maxEnergyJ,
    max_total_energy_j: form.maxTotalEnergyJ,
    memory_bytes: Object.fromEntries(memory),
    pins: { ...form.pins },
    excluded: [],
    max_devices: form.maxDevices,
    input_on: form.inputOn,
    strategies: ["layers", ...allowedStrategies(form)],
    contiguous: form.contiguous,
    codecs: codecsOf(form),
    max_change: form.maxChangePercent / 100,
  };
}

export function questionOf(form: QuestionForm, devices: readonly string[]): Question {
  return { devices: chosenDevices(form, devices), objective: form.objective, limits: limitsOf(form, devices), seconds: form.seconds };
}

export function paretoOf(form: QuestionForm, devices: readonly string[]): ParetoQuestion {
  return { devices: chosenDevices(form, devices), limits: limitsOf(form, devices), seconds: form.seconds, most: MOST_POINTS };
}

export interface Pinned {
  pins: Record<string, string>;
  /** Layers on no device, divided, or shared by replicas: they lie on no one device. */
  skipped: readonly string[];
}

/** These layers stay where they are now. */
export function pinsOf(content: Content, layers: readonly string[]): Pinned {
  const pins = new Map<string, string>();
  const skipped: string[] = [];
  for (const layer of layers) {
    const place = own(content.placement, layer);
    if (place === undefined || Object.hasOwn(content.rest.replicas, place)) skipped.push(layer);
    else pins.set(layer, deviceOf(content, place));
  }
  return { pins: Object.fromEntries(pins), skipped };
}

/** Pinned layers by device, both in the order in which they were pinned. */
export function pinGroups(pins: Readonly<Record<string, string>>): readonly (readonly [device: string, layers: readonly string[]])[] {
  return [...Map.groupBy(Object.entries(pins), ([, device]) => device)].map(([device, entries]) => [device, entries.map(([layer]) => layer)] as const);
}

export function withoutPins(pins: Readonly<Record<string, string>>, device: string): Record<string, string> {
  return Object.fromEntries(Object.entries(pins).filter(([, on]) => on !== device));
}

/** A number field's value: what is no number above zero is nothing typed. */
export function typedNumber(value: string | number): Typed {
  const number = typeof value === "number" ? value : Number.parseFloat(value);
  return Number.isFinite(number) && number > 0 ? number : null;
}

/** How many limits are set, to be told where the form is folded. */
export function limitCount(form: QuestionForm, devices: readonly string[]): number {
  const limits = limitsOf(form, devices);
  const single = [limits.min_throughput_per_s, limits.max_latency_s, limits.max_energy_j, limits.max_total_energy_j, limits.max_devices, limits.input_on];
  return single.filter((value) => value !== null).length + Object.keys(limits.memory_bytes).length + (Object.keys(form.pins).length > 0 ? 1 : 0) + (form.contiguous ? 1 : 0);
}
