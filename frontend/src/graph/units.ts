/** Units that a person may write behind a number, and how much each is. */
export type Quantity = "count" | "bytes" | "seconds" | "joules";

export const UNITS: Record<Quantity, Readonly<Record<string, number>>> = {
  count: { K: 1e3, M: 1e6, G: 1e9, T: 1e12 },
  bytes: { B: 1, KB: 1e3, MB: 1e6, GB: 1e9, KiB: 2 ** 10, MiB: 2 ** 20, GiB: 2 ** 30, K: 1e3, M: 1e6, G: 1e9 },
  seconds: { s: 1, ms: 1e-3, µs: 1e-6, us: 1e-6 },
  joules: { J: 1, mJ: 1e-3, µJ: 1e-6, uJ: 1e-6 },
};
