/** The form in which a person asks the planner. */
import type { Objective, PlannerStrategy } from "./types";

/** Of a number field: nothing typed is no limit. */
export type Typed = number | null;

export interface QuestionForm {
  objective: Objective;
  /** Devices that are left out; those that are registered later may be used. */
  without: readonly string[];
  /** By device, in MB. */
  memoryMb: Readonly<Record<string, Typed>>;
  minThroughput: Typed;
  maxLatencyMs: Typed;
  maxEnergyJ: Typed;
  maxTotalEnergyJ: Typed;
  maxDevices: Typed;
  inputOn: string | null;
  /** Each device computes one run of layers; strategies that were chosen rest meanwhile. */
  contiguous: boolean;
  /** Besides whole layers. */
  strategies: readonly PlannerStrategy[];
  /** Whether links may use codecs that lose nothing. */
  codecs: boolean;
  /** In per cent of the answers' largest value; above 0 codecs with loss may be used, too. */
  maxChangePercent: number;
  /** Layers that stay on a device. */
  pins: Readonly<Record<string, string>>;
  seconds: number;
}

export const FIRST_FORM: QuestionForm = {
  objective: "throughput",
  without: [],
  memoryMb: {},
  minThroughput: null,
  maxLatencyMs: null,
  maxEnergyJ: null,
  maxTotalEnergyJ: null,
  maxDevices: null,
  inputOn: null,
  contiguous: false,
  strategies: [],
  codecs: false,
  maxChangePercent: 0,
  pins: {},
  seconds: 60,
};
