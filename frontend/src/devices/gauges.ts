/** The gauges of a device: what the plan asks of it, and what it does. Pure. */
import type { Device, DeviceLive } from "@/api/types";
import { formatBytes, formatPercent } from "@/app/format";
import type { DeviceEstimate } from "@/plan/estimate";
import type { Prediction } from "@/planner/types";
import { formatWatts } from "@/power/words";
import { gaugeOf, worstTone, type GaugeView, type Tone } from "./gauge";

export interface Gauges {
  load: GaugeView;
  memory: GaugeView;
  power: GaugeView;
  /** Null where the device tells of no heat. */
  heat: GaugeView | null;
}

const bytes = (value: number): string => formatBytes(Math.round(value));
const degrees = (value: number): string => `${value.toFixed(0)}\u202f°C`;

/** No board says where it begins to throttle: the scale goes to what hardly any takes. */
const HOT_C = 100;

/** `live`: null while nothing runs there; `cost` and `prediction` are of the plan under the hand. */
export function gaugesOf({ name, check, power }: Pick<Device, "name" | "check" | "power">, cost: DeviceEstimate | undefined, prediction: Prediction | null, live: DeviceLive | null): Gauges {
  const planned = prediction?.devices.find(({ device }) => device === name);
  const isLive = live !== null;
  const period = prediction?.period_s ?? 0;
  const heat = live?.thermal ?? null;
  const heatView = heat && (heat.temperature_c !== null || heat.throttled.length > 0) ? gaugeOf({ label: "Temperature", live: heat.temperature_c, isLive, predicted: null, limit: HOT_C, format: degrees, none: "no sensor" }) : null;
  return {
    load: gaugeOf({ label: "Load", live: live?.cpu_utilisation ?? null, isLive, predicted: planned?.utilisation ?? null, limit: 1, format: formatPercent, calm: true }),
    memory: gaugeOf({ label: "Memory", live: live?.memory_bytes ?? null, isLive, predicted: cost?.memoryBytes ?? (isLive ? null : 0), limit: live?.memory_limit_bytes ?? check?.memory_bytes ?? null, format: bytes }),
    power: gaugeOf({
      label: "Power",
      live: live?.power?.power_w ?? null,
      isLive,
      predicted: planned?.energy_j != null && period > 0 ? planned.energy_j / period : null,
      limit: null,
      format: formatWatts,
      none: "no sensor",
      scale: power.model?.busy_w ?? null,
    }),
    heat: heatView && heat && heat.throttled.length > 0 ? { ...heatView, tone: "full", words: `${heatView.words}; slowed down to cool` } : heatView,
  };
}

export const worstGauge = ({ load, memory, power, heat }: Gauges): Tone => worstTone([load, memory, power, ...(heat ? [heat] : [])].map(({ tone }) => tone));
