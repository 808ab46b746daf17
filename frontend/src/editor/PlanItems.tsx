/** The menu about the plan: its settings, the plan document, and other tools' files. */
import { Menu } from "@mantine/core";
import { IconAdjustments, IconDownload, IconEraser, IconFileExport, IconFileImport, IconLink, IconUpload } from "@tabler/icons-react";
import type { RefObject } from "react";
import type { Model } from "@/api/types";
import { clearPlan, savePlanFile } from "./planFile";
import type { PlanDoing } from "./PlanMenu";
import { copyViewLink } from "./useViewLink";

export const IMPORTS: readonly (readonly [PlanDoing, string])[] = [
  ["import-autodice", "Import AutoDiCE files…"],
  ["import-map", "Import a map of layers…"],
  ["import-cuts", "Import a list of cuts…"],
];

interface PlanItemsProps {
  model: Model;
  /** Where a plan document is chosen. */
  input: RefObject<HTMLInputElement | null>;
  begin: (doing: PlanDoing) => void;
}

export function PlanItems({ model, input, begin }: PlanItemsProps) {
  return (
    <>
      <Menu.Item leftSection={<IconAdjustments size={14} />} onClick={() => begin("settings")} data-testid="plan-settings">
        Settings of the plan…
      </Menu.Item>
      <Menu.Item leftSection={<IconLink size={14} />} onClick={() => void copyViewLink(model.id)} rightSection={<kbd>L</kbd>} data-testid="copy-link">
        Copy a link to this view
      </Menu.Item>
      <Menu.Item leftSection={<IconDownload size={14} />} onClick={() => savePlanFile(model)} data-testid="plan-export">
        Export plan
      </Menu.Item>
      <Menu.Item leftSection={<IconFileExport size={14} />} onClick={() => begin("export-autodice")} data-testid="export-autodice">
        Export for AutoDiCE…
      </Menu.Item>
      <Menu.Divider />
      <Menu.Item leftSection={<IconUpload size={14} />} onClick={() => input.current?.click()}>
        Import plan…
      </Menu.Item>
      {IMPORTS.map(([what, label]) => (
        <Menu.Item key={what} leftSection={<IconFileImport size={14} />} onClick={() => begin(what)} data-testid={what}>
          {label}
        </Menu.Item>
      ))}
      <Menu.Divider />
      <Menu.Item leftSection={<IconEraser size={14} />} onClick={clearPlan}>
        Clear the plan
      </Menu.Item>
    </>
  );
}
