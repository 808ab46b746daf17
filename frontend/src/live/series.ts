/** A device's last figures, bounded, outside React. */
import type { DeviceLive } from "@/api/types";

export const METRICS = ["fps", "cpu", "memory", "power", "temperature"] as const;
export type Metric = (typeof METRICS)[number];

const SERIES_LENGTH = 300;
/** A longer silence is drawn as a gap. */
const GAP_S = 3.5;

export function metricOf(live: DeviceLive, metric: Metric): number | null {
  if (metric === "fps") return live.frames_per_s;
  if (metric === "cpu") return live.cpu_utilisation;
  if (metric === "memory") return live.memory_bytes;
  if (metric === "temperature") return live.thermal?.temperature_c ?? null;
  return live.power?.power_w ?? null;
}

/** Ring buffer of one value per time for each metric. */
export class Series {
  private readonly times: Float64Array;
  private readonly values: Record<Metric, (number | null)[]>;
  private start = 0;
  private count = 0;

  constructor(private readonly capacity = SERIES_LENGTH) {
    this.times = new Float64Array(capacity);
    this.values = { fps: [], cpu: [], memory: [], power: [], temperature: [] };
  }

  get length(): number {
    return this.count;
  }

  push(live: DeviceLive): void {
    const last = this.count > 0 ? this.times[(this.start + this.count - 1) % this.capacity] : undefined;
    if (last !== undefined && live.unix_s <= last) return;
    if (last !== undefined && live.unix_s - last > GAP_S) this.add(last + GAP_S / 2, null);
    this.add(live.unix_s, live);
  }

  private add(time: number, live: DeviceLive | null): void {
    const slot = (this.start + this.count) % this.capacity;
    if (this.count < this.capacity) this.count += 1;
    else this.start = (this.start + 1) % this.capacity;
    this.times[slot] = time;
    for (const metric of METRICS) this.values[metric][slot] = live === null ? null : metricOf(live, metric);
  }

  /** Times and values in order, oldest first. */
  read(metric: Metric): [number[], (number | null)[]] {
    const times: number[] = [];
    const values: (number | null)[] = [];
    for (let i = 0; i < this.count; i += 1) {
      const slot = (this.start + i) % this.capacity;
      times.push(this.times[slot] ?? 0);
      values.push(this.values[metric][slot] ?? null);
    }
    return [times, values];
  }
}
