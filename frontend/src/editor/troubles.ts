/** What the studio's report says of single layers: told on their cards, on the folds that hide them, and in their details. Pure. */
import type { PlanProblem } from "@/api/types";
import { formatWhole } from "@/app/format";
import { wholeLayer } from "@/plan/divisions";

export interface Trouble {
  severity: "error" | "warning";
  message: string;
  nextStep: string | null;
}

/** By layer, the worst first. */
export type Troubles = ReadonlyMap<string, readonly Trouble[]>;

/** That a layer has no device is seen without a mark; what speaks of a part belongs to the layer that was divided. */
export function troublesOf(problems: readonly PlanProblem[], exists: (layer: string) => boolean): Troubles {
  const troubles = new Map<string, Trouble[]>();
  for (const severity of ["error", "warning"] as const) {
    for (const problem of problems) {
      const { code, layer, message, next_step: nextStep = null } = problem;
      const whole = layer == null || problem.severity !== severity || code === "unplaced_layer" ? null : wholeLayer(layer, exists);
      if (whole === null) continue;
      const known = troubles.get(whole);
      if (!known) troubles.set(whole, [{ severity, message, nextStep }]);
      else if (!known.some((other) => other.message === message)) known.push({ severity, message, nextStep });
    }
  }
  return troubles;
}

/** What is said of several layers together: the worst of it, and of how many. */
export interface Summary {
  worst: Trouble;
  /** Of its severity, so many layers have something. */
  layers: number;
}

export function summaryOf(troubles: Troubles, layers: readonly string[]): Summary | null {
  if (troubles.size === 0) return null;
  let summary: Summary | null = null;
  for (const layer of layers) {
    const worst = troubles.get(layer)?.[0];
    if (!worst) continue;
    if (summary === null || (summary.worst.severity === "warning" && worst.severity === "error")) summary = { worst, layers: 1 };
    else if (worst.severity === summary.worst.severity) summary.layers += 1;
  }
  return summary;
}

/** "Error: …", and how many more layers have one. */
export function tellSummary({ worst, layers }: Summary): string {
  const word = worst.severity === "error" ? "Error" : "Warning";
  const more = layers > 1 ? ` (and ${formatWhole(layers - 1)} more here)` : "";
  return `${word}: ${worst.message}${more}`;
}
