/** Numbers for people. Units are decimal (1 KB = 1000 bytes). */

function scaled(value: number, units: readonly string[], step: number): string {
  let scale = 0;
  let rest = value;
  while (Math.abs(rest) >= step * 0.9995 && scale < units.length - 1) {
    rest /= step;
    scale += 1;
  }
  const digits = scale === 0 ? (Number.isInteger(rest) ? 0 : 1) : Math.abs(rest) < 10 ? 2 : Math.abs(rest) < 100 ? 1 : 0;
  const unit = units[scale] ?? "";
  return unit === "" ? rest.toFixed(digits) : `${rest.toFixed(digits)}\u202f${unit}`;
}

export const formatBytes = (bytes: number): string => scaled(bytes, ["B", "KB", "MB", "GB", "TB"], 1000);
export const formatRate = (bytesPerS: number): string => `${formatBytes(Math.round(bytesPerS))}/s`;
export const formatCount = (count: number): string => scaled(count, ["", "K", "M", "G", "T"], 1000);
export const formatMacs = (macs: number): string => scaled(macs, ["MACs", "KMACs", "MMACs", "GMACs", "TMACs"], 1000);
export const formatShape = (shape: readonly number[]): string => (shape.length === 0 ? "scalar" : shape.join("×"));

/** A batch of one says nothing where room is short. */
export const withoutBatch = (shape: readonly number[]): readonly number[] => (shape.length > 1 && shape[0] === 1 ? shape.slice(1) : shape);

/** Below one per cent with a digit: something is not nothing. */
export function formatPercent(share: number): string {
  const percent = share * 100;
  const size = Math.abs(percent);
  if (size === 0 || size >= 0.95) return `${Math.round(percent)}\u202f%`;
  return size < 0.05 ? "<0.1\u202f%" : `${percent.toFixed(1)}\u202f%`;
}

/** A number of no unit, as of a weight: `0.0312`, `−1.2e-7`, `12`. */
export function formatReal(value: number): string {
  const size = Math.abs(value);
  const text = Number.isInteger(value) && size < 1e6 ? String(value) : size >= 1e-3 && size < 1e5 ? String(Number(value.toPrecision(3))) : value.toExponential(1);
  return text.replace("-", "\u2212").replace("e-", "e\u2212").replace("e+", "e");
}

/** A count to the last one: `1 234`. */
export const formatWhole = (count: number): string => count.toLocaleString("en-US").replaceAll(",", "\u202f");

export const plural = (count: number, word: string): string => `${formatWhole(count)} ${word}${count === 1 ? "" : "s"}`;

/** A duration: `3.2 ms`, `850 ms`, `4.1 s`, `2:05`. */
export function formatDuration(seconds: number): string {
  if (seconds < 0.0995) return `${(seconds * 1000).toFixed(seconds < 0.00995 ? 2 : 1)}\u202fms`;
  if (seconds < 0.9995) return `${(seconds * 1000).toFixed(0)}\u202fms`;
  if (seconds < 60) return `${seconds.toFixed(1)}\u202fs`;
  const whole = Math.floor(seconds);
  return `${Math.floor(whole / 60)}:${String(whole % 60).padStart(2, "0")}`;
}

/** Time since something began: `0.2 s`, `14.0 s`, `2:05`. */
export function formatElapsed(seconds: number): string {
  return seconds < 60 ? `${seconds.toFixed(1)}\u202fs` : formatDuration(seconds);
}

/** Frames per second: two digits that matter. */
export function formatFps(fps: number): string {
  return fps >= 100 ? fps.toFixed(0) : fps >= 10 ? fps.toFixed(1) : fps.toFixed(2);
}

/** A link's rate: `94.1 Mbit/s`. */
export const formatBits = (bytesPerS: number): string => `${scaled(bytesPerS * 8, ["bit", "kbit", "Mbit", "Gbit"], 1000)}/s`;

/** How long ago: `just now`, `3 min ago`, `2 h ago`, then the date. */
export function formatAgo(then: string, now: number): string {
  const seconds = (now - Date.parse(then)) / 1000;
  if (seconds < 10) return "just now";
  if (seconds < 60) return `${Math.floor(seconds)} s ago`;
  if (seconds < 3600) return `${Math.floor(seconds / 60)} min ago`;
  if (seconds < 36 * 3600) return `${Math.floor(seconds / 3600)} h ago`;
  return new Date(then).toLocaleDateString();
}
