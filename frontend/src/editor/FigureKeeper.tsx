/** Keeps what an edit changes, old beside new, and asks the studio about the edit in the hand. Nothing of it is seen. */
import type { Model, PlanReport } from "@/api/types";
import type { Network } from "@/graph/network";
import type { Content } from "@/plan/content";
import type { Predicted } from "@/planner/usePrediction";
import { useFigures } from "./useFigures";
import { useTrialAnswers } from "./useTrialAnswers";

interface FigureKeeperProps {
  model: Model;
  network: Network;
  content: Content;
  /** The studio's on this very plan; null while it has not answered. */
  report: PlanReport | null;
  predicted: Predicted;
}

export function FigureKeeper({ model, network, content, report, predicted }: FigureKeeperProps) {
  useTrialAnswers(model, content, report);
  useFigures(network, content, predicted);
  return null;
}
