/** Links between devices as a matrix: rows from, columns to. Pure. */
import type { LinkProfile, Links } from "@/api/types";
import { formatBits, formatDuration } from "@/app/format";

export const STUDIO = "studio";

export type Cell =
  | { kind: "self" }
  | { kind: "none" }
  | { kind: "link"; link: LinkProfile }
  | { kind: "failed"; reason: string; at: string; older: LinkProfile | null };

export interface Matrix {
  names: readonly string[];
  rows: readonly { source: string; cells: readonly Cell[] }[];
}

export const METHOD_WORDS: Record<LinkProfile["method"], string> = { measured: "measured", background: "measured in the background", traffic: "from traffic" };

/** The studio first, then the devices as they are registered, then whoever else is named. */
export function matrixOf({ links, failures }: Links, devices: readonly string[]): Matrix {
  const known = new Set<string>([STUDIO, ...devices]);
  for (const { source, target } of [...links, ...failures]) known.add(source).add(target);
  const names = [...known];
  const cell = (source: string, target: string): Cell => {
    if (source === target) return { kind: "self" };
    const link = links.find((one) => one.source === source && one.target === target) ?? null;
    const failure = failures.find((one) => one.source === source && one.target === target);
    if (failure && (link === null || Date.parse(failure.at) > Date.parse(link.measured_at))) return { kind: "failed", reason: failure.reason, at: failure.at, older: link };
    return link === null ? { kind: "none" } : { kind: "link", link };
  };
  return { names, rows: names.map((source) => ({ source, cells: names.map((target) => cell(source, target)) })) };
}

export interface Uneven {
  fast: LinkProfile;
  slow: LinkProfile;
}

/** Two directions of a pair that differ by more were seldom measured under the same conditions. */
const UNEVEN = 1.5;

/** Pairs whose two directions differ much, both measured; what traffic showed is only a lower bound. */
export function unevenPairs({ rows, names }: Matrix): Uneven[] {
  const linkAt = (from: number, to: number): LinkProfile | null => {
    const cell = rows[from]?.cells[to];
    return cell?.kind === "link" && cell.link.method !== "traffic" ? cell.link : null;
  };
  return names.flatMap((_, a) =>
    names.slice(a + 1).flatMap((__, more) => {
      const [there, back] = [linkAt(a, a + 1 + more), linkAt(a + 1 + more, a)];
      if (there === null || back === null) return [];
      const [slow, fast] = there.bytes_per_s < back.bytes_per_s ? [there, back] : [back, there];
      return fast.bytes_per_s > slow.bytes_per_s * UNEVEN ? [{ fast, slow }] : [];
    }),
  );
}

/** A rate that was seen in traffic is a lower bound: the link may carry more. */
export const describeRate = ({ bytes_per_s, method }: LinkProfile): string => `${method === "traffic" ? "≥ " : ""}${formatBits(bytes_per_s)}`;

export const describeRoundTrip = ({ rtt_s }: LinkProfile): string => (rtt_s === null ? "–" : formatDuration(rtt_s));
