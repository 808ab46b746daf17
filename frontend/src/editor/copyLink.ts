/** Makes a link of what is seen now. It comes when somebody asks for one. */
import { copyText } from "@/app/copyText";
import { editorPath } from "@/app/router";
import { syncStore } from "@/plan/sync";
import { cameraMan } from "./camera";
import { findStore } from "./find";
import { flash, viewStore } from "./view";
import { sameNames, writeRuns, writeView, type LinkedView } from "./viewLink";

/** The address of the open plan, with what is selected, open and in view. */
function linkHere(modelId: string): string {
  const { layout } = cameraMan;
  const path = editorPath(modelId, syncStore.getState().plan?.id ?? null);
  if (!layout) return `${window.location.origin}${path}`;
  const { open, base } = layout;
  const { selection, mode, sort, grouped, measure, heat, detailsOpen, onlyHits } = viewStore.getState();
  const view: LinkedView = {
    nodes: layout.itemOf.length,
    selection: writeRuns(selection),
    open,
    base: sameNames(open, base) ? null : base,
    camera: cameraMan.place(),
    table: mode === "table",
    sort,
    grouped,
    measure,
    heat,
    details: detailsOpen,
    find: findStore.getState().text,
    onlyHits,
  };
  return `${window.location.origin}${path}${writeView(view)}`;
}

export async function copyViewLink(modelId: string): Promise<void> {
  const copied = await copyText(linkHere(modelId));
  flash("", copied ? "Link to this view copied" : "This browser lets no page copy: take the address from its bar");
}
