/** What a check found, as groups of terms and values for the details of a device. Pure. */
import type { DeviceCheck, PowerSettings, Reason } from "@/api/types";
import { formatBytes, formatPercent, plural } from "@/app/format";
import { own } from "@/app/own";

export interface Group {
  title: string;
  rows: readonly (readonly [term: string, value: string])[];
}

const NOT_KNOWN = "not known";
const bytesOr = (bytes: number | null): string => (bytes === null ? NOT_KNOWN : formatBytes(bytes));
const round = (count: number): string => String(Math.round(count * 100) / 100);

/** What the verdict rests on, without the note that no sensor tells the watts where a meter or a model does. */
export const reasonsNow = (reasons: readonly Reason[], { meter, model }: Pick<PowerSettings, "meter" | "model">): readonly Reason[] =>
  meter || model ? reasons.filter(({ code }) => code !== "no_sensor") : reasons;

export function describeClock(offset: number | null, uncertainty: number | null): string {
  if (offset === null) return NOT_KNOWN;
  const size = Math.abs(offset);
  const within = uncertainty === null ? "" : `, ±${seconds(uncertainty)}`;
  if (uncertainty !== null && size <= uncertainty) return `as the studio's${within}`;
  return `${seconds(size)} ${offset > 0 ? "ahead of" : "behind"} the studio's${within}`;
}

function seconds(value: number): string {
  if (value < 1) return `${Math.max(1, Math.round(value * 1000))}\u202fms`;
  if (value < 90) return `${value.toFixed(1)}\u202fs`;
  if (value < 5400) return `${Math.round(value / 60)} min`;
  return `${(value / 3600).toFixed(1)} h`;
}

const THROTTLE_WORDS: Record<string, string> = {
  under_voltage: "under-voltage",
  capped: "frequency capped",
  throttled: "throttled",
  soft_limit: "soft temperature limit",
};

const PROVIDER_NAMES: Record<string, string> = { Xnnpack: "XNNPACK", Tensorrt: "TensorRT", Dml: "DirectML" };

/** ONNX Runtime's name of a provider as people write it. */
export function providerWords(name: string): string {
  const short = name.replace(/ExecutionProvider$/, "");
  return PROVIDER_NAMES[short] ?? short;
}

export const throttleWords = (names: readonly string[]): string => names.map((name) => own(THROTTLE_WORDS, name) ?? name).join(", ");

function heat({ thermal }: DeviceCheck): Group {
  // Without any sensor nobody can say that it is not throttled.
  if (!thermal || (thermal.temperature_c === null && thermal.frequency_ratio === null && thermal.throttled.length === 0)) return { title: "Heat", rows: [["Temperature", "no sensor"]] };
  return {
    title: "Heat",
    rows: [
      ["Temperature", thermal.temperature_c === null ? "no sensor" : `${thermal.temperature_c.toFixed(1)}\u202f°C`],
      ["Now", thermal.throttled.length === 0 ? "not throttled" : throttleWords(thermal.throttled)],
      ["Since it started", thermal.throttled_before.length === 0 ? "nothing reported" : throttleWords(thermal.throttled_before)],
      ["Clock rate", thermal.frequency_ratio === null ? NOT_KNOWN : `${formatPercent(thermal.frequency_ratio)} of the highest`],
    ],
  };
}

export function checkGroups(check: DeviceCheck): Group[] {
  return [
    {
      title: "System",
      rows: [
        ["Model", check.model ?? NOT_KNOWN],
        ["System", check.os],
        ["Kernel", check.kernel ?? NOT_KNOWN],
        ["Architecture", check.bits === null ? check.architecture : `${check.architecture}, ${check.bits}-bit`],
        ["C library", check.libc ?? NOT_KNOWN],
        ["File transfer", check.has_sftp === null ? NOT_KNOWN : check.has_sftp ? "SSH stream, SFTP" : "SSH stream (no SFTP)"],
      ],
    },
    {
      title: "Processor",
      rows: [
        ["Usable cores", round(check.usable_cores)],
        ["By affinity", check.affinity_cores === null ? NOT_KNOWN : String(check.affinity_cores)],
        ["By quota", check.quota_cores === null ? (check.limits_known ? "no quota" : NOT_KNOWN) : round(check.quota_cores)],
        ["Missing features", check.cpu_flags_missing.length === 0 ? "none" : check.cpu_flags_missing.join(", ")],
      ],
    },
    {
      title: "Memory and disk",
      rows: [
        ["Usable", formatBytes(check.memory_bytes)],
        ["Physical", bytesOr(check.memory_physical_bytes)],
        ["Control group", check.memory_cgroup_bytes === null ? (check.limits_known ? "no limit" : NOT_KNOWN) : formatBytes(check.memory_cgroup_bytes)],
        ["Free now", bytesOr(check.memory_available_bytes)],
        ["Free disk", bytesOr(check.disk_free_bytes)],
      ],
    },
    heat(check),
    {
      title: "Clock and network",
      rows: [
        ["Clock", describeClock(check.clock_offset_s, check.clock_uncertainty_s)],
        ["Addresses", check.addresses.length === 0 ? NOT_KNOWN : check.addresses.join(", ")],
      ],
    },
    {
      title: "Start and reboot",
      rows: [
        ["Agent starts", check.starts_by === "systemd" ? "as a systemd user unit" : "detached"],
        ["After a reboot", check.restarts_after_reboot ? "starts again" : "does not start again"],
        ...(check.restart_note === "" ? [] : ([["Because", check.restart_note]] as const)),
      ],
    },
  ];
}

/** `3.11.4, and 2 more` */
export function describePythons({ python, pythons }: DeviceCheck): string {
  if (!python) return pythons.length === 0 ? "none" : `none usable of ${pythons.length}`;
  const more = pythons.filter(({ path }) => path !== python.path).length;
  return more === 0 ? python.version : `${python.version}, and ${plural(more, "other")}`;
}
