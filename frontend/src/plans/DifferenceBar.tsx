/** How the open plan differs from the one that the graph is compared with: a count, the way from one to the next, and taking over. */
import { ActionIcon, Button } from "@mantine/core";
import { IconChevronLeft, IconChevronRight } from "@tabler/icons-react";
import { formatWhole, plural } from "@/app/format";
import { useView } from "@/editor/view";
import { at, type Network } from "@/graph/network";
import { useComparing } from "./comparing";
import type { Differences } from "./useCompared";
import { layersWords, takeOther, walkDifferences, whereWords } from "./walk";

interface DifferenceBarProps {
  network: Network;
  name: string;
  differences: Differences;
}

export function DifferenceBar({ network, name, differences: { found, layers, settings } }: DifferenceBarProps) {
  const gone = useComparing((state) => state.at);
  const selection = useView((view) => view.selection);
  const here = gone === null ? undefined : found[gone];
  const apart = new Set(found.flatMap((one) => one.layers));
  const chosen = [...selection].map((node) => at(network.nodes, node).name).filter((layer) => apart.has(layer));
  const besides = settings.length > 0 ? `; also ${settings.join(", ")}` : "";
  if (layers === 0) {
    return (
      <p className="differ-words" data-testid="differences">
        Every layer is where <b>{name}</b> has it{besides}.
      </p>
    );
  }
  return (
    <div className="differ" role="toolbar" aria-label={`Differences to ${name}`}>
      <p className="differ-words" data-testid="differences" title={`${plural(layers, "layer")} differ from ${name}${besides}${here ? `: ${layersWords(here)}, ${whereWords(here, name)}` : ""}`}>
        <b>{plural(layers, "layer")}</b> {layers === 1 ? "differs" : "differ"} from <b>{name}</b>
        {besides}
        {here && <span data-testid="difference-here">{`: ${layersWords(here)}, ${whereWords(here, name)}`}</span>}
      </p>
      <span className="differ-walk">
        <ActionIcon variant="default" size={24} aria-label="Previous difference" title="Previous difference (Shift F7)" onClick={() => walkDifferences(network, found, -1)} data-testid="difference-previous">
          <IconChevronLeft size={14} />
        </ActionIcon>
        <span data-testid="difference-place">
          {here === undefined ? "–" : formatWhole((gone ?? 0) + 1)} of {formatWhole(found.length)}
        </span>
        <ActionIcon variant="default" size={24} aria-label="Next difference" title="Next difference (F7)" onClick={() => walkDifferences(network, found, 1)} data-testid="difference-next">
          <IconChevronRight size={14} />
        </ActionIcon>
      </span>
      <Button size="compact-xs" variant="default" disabled={chosen.length === 0} onClick={() => takeOther(chosen)} title={chosen.length === 0 ? "Select layers that differ first" : `Put them where ${name} has them`} data-testid="take-selection">
        {chosen.length === 0 ? "Take the selection" : `Take ${plural(chosen.length, "layer")}`}
      </Button>
      <Button size="compact-xs" variant="default" onClick={() => takeOther([...apart])} title={`Have every layer where ${name} has it`} data-testid="take-all">
        Take all
      </Button>
    </div>
  );
}
