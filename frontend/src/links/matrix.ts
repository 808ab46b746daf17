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

/** A rate that was seen in traffic is a lower bound: the link may carry more. */
export const describeRate = ({ bytes_per_s, method }: LinkProfile): string => `${method === "traffic" ? "≥ " : ""}${formatBits(bytes_per_s)}`;

export const describeRoundTrip = ({ rtt_s }: LinkProfile): string => (rtt_s === null ? "–" : formatDuration(rtt_s));
