/** A device's colour, pattern and short sign: always together, so that colour is never the only mark. */
import type { Device } from "@/api/types";

export const COLOR_COUNT = 8;

export interface DeviceMark {
  /** For CSS: `var(--ps-device-<slot>)`. */
  slot: number;
  /** 0 solid, then hatched, dotted ...; changes when the colours begin again too. */
  pattern: number;
  /** Place in the list, from 1; the key that sends layers there, up to 9. */
  number: number;
  /** At most three letters. */
  initials: string;
}

export type Marks = ReadonlyMap<string, DeviceMark>;

/** `pi-2` is "p2", `kitchen-board` is "kb", `nano` is "na". */
export function initialsOf(name: string): string {
  const parts = name.split(/[^\p{L}\p{N}]+|(?<=\p{L})(?=\p{N})/u).filter(Boolean);
  if (parts.length > 1) {
    return parts
      .slice(0, 3)
      .map((part) => (/^\p{N}+$/u.test(part) ? part.slice(0, 2) : part.slice(0, 1)))
      .join("")
      .slice(0, 3);
  }
  return (parts[0] ?? "?").slice(0, 2);
}

/** Marks in the order of registration. */
export function marksOf(devices: readonly Pick<Device, "name">[]): Marks {
  return new Map(
    devices.map(({ name }, index) => [
      name,
      { slot: index % COLOR_COUNT, pattern: (index + Math.floor(index / COLOR_COUNT)) % COLOR_COUNT, number: index + 1, initials: initialsOf(name) },
    ]),
  );
}
