/** What the menu about the plan begins, and its commands. */
import { lazy, Suspense, useEffect, useMemo, type RefObject } from "react";
import { useStore } from "zustand";
import type { Device, Model } from "@/api/types";
import { useCommands, type Command } from "@/app/commands";
import { insist } from "@/app/insist";
import { lazily } from "@/app/lazily";
import { fitStore } from "@/plans/fitStore";
import { PlanFileInput } from "@/plans/PlanFileInput";
import { clearPlan, openPlanFile, savePlanFile } from "./planFile";
import { IMPORTS } from "./PlanItems";
import type { PlanDoing } from "./PlanMenu";

const FitDialog = lazily(() => import("@/plans/FitDialog").then(({ default: part }) => part));
const PlanSettings = lazy(() => insist(() => import("./PlanSettings")));
const ForeignDialog = lazy(() => insist(() => import("./ForeignDialog")));

interface PlanDoingsProps {
  model: Model;
  devices: readonly Device[];
  input: RefObject<HTMLInputElement | null>;
  doing: PlanDoing | null;
  begin: (doing: PlanDoing | null) => void;
}

export function PlanDoings({ model, devices, input, doing, begin }: PlanDoingsProps) {
  useCommands(
    useMemo(
      (): Command[] => [
        { id: "plan.export", group: "Plan", title: "Export the plan", words: "download save file json", run: () => savePlanFile(model) },
        { id: "plan.export-autodice", group: "Plan", title: "Export the plan for AutoDiCE…", words: "mapping download", run: () => begin("export-autodice") },
        { id: "plan.import", group: "Plan", title: "Import a plan…", words: "open upload file json", run: () => input.current?.click() },
        ...IMPORTS.map(([what, title]): Command => ({ id: `plan.${what}`, group: "Plan", title, words: "open upload file", run: () => begin(what) })),
        { id: "plan.settings", group: "Plan", title: "Settings of the plan…", words: "options batch change", run: () => begin("settings") },
        { id: "plan.clear", group: "Plan", title: "Clear the plan", words: "empty remove all", run: clearPlan },
      ],
      [model, input, begin],
    ),
  );
  const asked = useStore(fitStore, (state) => state.asked);
  // What was asked about a file for this network must not be asked in another one's editor.
  useEffect(() => () => fitStore.getState().asked?.answer(false), []);
  const close = () => begin(null);
  return (
    <>
      <PlanFileInput input={input} testId="plan-import" take={(file) => void openPlanFile(file, model)} />
      {asked && <FitDialog {...asked} />}
      <Suspense>
        {doing === "settings" && <PlanSettings close={close} />}
        {doing !== null && doing !== "settings" && <ForeignDialog what={doing} model={model} devices={devices} close={close} />}
      </Suspense>
    </>
  );
}
