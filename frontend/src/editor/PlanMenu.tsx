/** Export and import of the plan document. */
import { ActionIcon, Menu } from "@mantine/core";
import { IconDots, IconDownload, IconEraser, IconUpload } from "@tabler/icons-react";
import { useRef } from "react";
import { asProblem } from "@/api/client";
import type { Model } from "@/api/types";
import { plural } from "@/app/format";
import { tell } from "@/app/notify";
import { EMPTY, planDocument } from "@/plan/content";
import { readPlan } from "@/plan/document";
import { planStore, replacePlan } from "@/plan/store";
import { checkPlan } from "@/plan/useReport";
import { flash } from "./view";

function download(model: Model): void {
  const text = `${JSON.stringify(planDocument(model, planStore.getState().content), null, 2)}\n`;
  const url = URL.createObjectURL(new Blob([text], { type: "application/json" }));
  const link = document.createElement("a");
  link.href = url;
  link.download = `${model.name.replace(/[^\w.-]+/g, "-")}.plan.json`;
  link.click();
  setTimeout(() => URL.revokeObjectURL(url), 1000);
}

export function PlanMenu({ model }: { model: Model }) {
  const input = useRef<HTMLInputElement>(null);
  const load = async (file: File) => {
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
  };
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
          if (file) void load(file);
          event.currentTarget.value = "";
        }}
      />
      <Menu position="bottom-end" withinPortal>
        <Menu.Target>
          <ActionIcon variant="subtle" color="gray" aria-label="More about the plan">
            <IconDots size={17} />
          </ActionIcon>
        </Menu.Target>
        <Menu.Dropdown>
          <Menu.Item leftSection={<IconDownload size={14} />} onClick={() => download(model)} data-testid="plan-export">
            Export plan
          </Menu.Item>
          <Menu.Item leftSection={<IconUpload size={14} />} onClick={() => input.current?.click()}>
            Import plan…
          </Menu.Item>
          <Menu.Divider />
          <Menu.Item leftSection={<IconEraser size={14} />} onClick={() => replacePlan({ ...EMPTY, rest: planStore.getState().content.rest }, "Clear the plan")}>
            Clear the plan
          </Menu.Item>
        </Menu.Dropdown>
      </Menu>
    </>
  );
}
