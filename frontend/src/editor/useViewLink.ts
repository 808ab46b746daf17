/** Links that open a view: copied by command; and the one that the address brings. */
import { useMemo, useState } from "react";
import { useCommands, type Command } from "@/app/commands";
import { insist } from "@/app/insist";

export const copyViewLink = async (modelId: string): Promise<void> => (await insist(() => import("./copyLink"))).copyViewLink(modelId);

/** What the address said of a view when the page was opened; "": nothing. */
export function useViewLink(modelId: string): string {
  const [search] = useState(() => window.location.search);
  const commands = useMemo<readonly Command[]>(
    () => [{ id: "look.copy-link", group: "Look", title: "Copy a link to this view", keys: "L", words: "share address url selection", run: () => void copyViewLink(modelId) }],
    [modelId],
  );
  useCommands(commands);
  return search;
}
