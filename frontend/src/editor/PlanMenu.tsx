/** Export and import: the plan document, and other tools' files. */
import { ActionIcon, Menu } from "@mantine/core";
import { IconAdjustments, IconDots, IconDownload, IconEraser, IconFileExport, IconFileImport, IconUpload } from "@tabler/icons-react";
import { lazy, Suspense, useRef, useState } from "react";
import { asProblem } from "@/api/client";
import type { Device, Model } from "@/api/types";
import { download, fileName } from "@/app/download";
import { plural } from "@/app/format";
import { tell } from "@/app/notify";
import { EMPTY, planDocument } from "@/plan/content";
import { readPlan } from "@/plan/document";
import { planStore, replacePlan } from "@/plan/store";
import { checkPlan } from "@/plan/useReport";
import type { Foreign } from "./ForeignDialog";
import { flash } from "./view";

const PlanSettings = lazy(() => import("./PlanSettings"));
const ForeignDialog = lazy(() => import("./ForeignDialog"));

const IMPORTS: readonly (readonly [Foreign, string])[] = [
  ["import-autodice", "Import AutoDiCE files…"],
  ["import-map", "Import a map of layers…"],
  ["import-cuts", "Import a list of cuts…"],
];

async function openFile(file: File, model: Model): Promise<void> {
  const answer = readPlan(await file.text(), model);
  if ("problem" in answer) {
    tell(`${file.name}: ${answer.problem}`, answer.nextStep);
    return;
  }
  try {
    // A document that the studio does not take at all is refused here; what else is wrong is listed beside the canvas.
    await checkPlan(model, answer.content);
  } catch (error) {
    const { message, nextStep } = asProblem(error);
    tell(`${file.name}: ${message}`, nextStep);
    return;
  }
  flash("", `${plural(replacePlan(answer.content, `Import ${file.name}`).layers, "layer")} changed`);
}

export function PlanMenu({ model, devices }: { model: Model; devices: readonly Device[] }) {
  const input = useRef<HTMLInputElement>(null);
  const [foreign, setForeign] = useState<Foreign | null>(null);
  const [settings, setSettings] = useState(false);
  const save = () => download(`${fileName(model.name)}.plan.json`, `${JSON.stringify(planDocument(model, planStore.getState().content), null, 2)}\n`);
  return (
    <>
      <input
        ref={input}
        type="file"
        accept="application/json,.json"
        hidden
        data-testid="plan-import"
        onChange={(event) => {
          const file = event.currentTarget.files?.[0];
          if (file) void openFile(file, model);
          event.currentTarget.value = "";
        }}
      />
      <Menu position="bottom-end" withinPortal>
        <Menu.Target>
          <ActionIcon variant="subtle" color="gray" aria-label="More about the plan" data-testid="plan-menu">
            <IconDots size={17} />
          </ActionIcon>
        </Menu.Target>
        <Menu.Dropdown>
          <Menu.Item leftSection={<IconAdjustments size={14} />} onClick={() => setSettings(true)} data-testid="plan-settings">
            Settings of the plan…
          </Menu.Item>
          <Menu.Item leftSection={<IconDownload size={14} />} onClick={save} data-testid="plan-export">
            Export plan
          </Menu.Item>
          <Menu.Item leftSection={<IconFileExport size={14} />} onClick={() => setForeign("export-autodice")} data-testid="export-autodice">
            Export for AutoDiCE…
          </Menu.Item>
          <Menu.Divider />
          <Menu.Item leftSection={<IconUpload size={14} />} onClick={() => input.current?.click()}>
            Import plan…
          </Menu.Item>
          {IMPORTS.map(([what, label]) => (
            <Menu.Item key={what} leftSection={<IconFileImport size={14} />} onClick={() => setForeign(what)} data-testid={what}>
              {label}
            </Menu.Item>
          ))}
          <Menu.Divider />
          <Menu.Item leftSection={<IconEraser size={14} />} onClick={() => replacePlan({ ...EMPTY, rest: planStore.getState().content.rest }, "Clear the plan")}>
            Clear the plan
          </Menu.Item>
        </Menu.Dropdown>
      </Menu>
      {settings && (
        <Suspense>
          <PlanSettings close={() => setSettings(false)} />
        </Suspense>
      )}
      {foreign !== null && (
        <Suspense>
          <ForeignDialog what={foreign} model={model} devices={devices} close={() => setForeign(null)} />
        </Suspense>
      )}
    </>
  );
}
