/** What the hand can do by name: placing, painting, moving boundaries, selecting along the graph. */
import { useMemo } from "react";
import type { Device, Model } from "@/api/types";
import { useCommands, type Command } from "@/app/commands";
import { allBlocks, blockAround } from "@/graph/blocks";
import { at, type Network } from "@/graph/network";
import { onwards } from "@/graph/reach";
import { placesOfLayer } from "@/plan/divisions";
import { planStore } from "@/plan/store";
import { chooseBrush, setTool, takeBrush, useHand } from "./hand";
import { select, selectNamed, useView, viewStore } from "./view";

const selected = (): number[] => [...viewStore.getState().selection].sort((a, b) => a - b);
const NOTHING = "Select layers first";

/** From here to the end of the network. */
export const selectToEnd = (network: Network): void => select(onwards(network, selected()), selected()[0]);

/** From here as far as it stays on the same device. */
export function selectToCut(network: Network): void {
  const { content } = planStore.getState();
  const place = (node: number) => placesOfLayer(content, at(network.nodes, node).name).join("\n");
  select(
    onwards(network, selected(), (from, to) => place(from) === place(to)),
    selected()[0],
  );
}

/** The block that holds what is selected. */
function selectBlock(model: Model, network: Network): void {
  const blocks = allBlocks(model.blocks, planStore.getState().content.rest.blocks);
  const block = blockAround(blocks, selected().map((node) => at(network.nodes, node).name));
  if (block) selectNamed(network, block.layers);
  else viewStore.setState({ announcement: "No block holds all of the selection" });
}

/** To the first marker, as Tab does; the arrow keys lead on to the others. */
function focusBoundary(): void {
  const marker = document.querySelector<HTMLElement>('.boundary-handle[tabindex="0"]');
  if (marker) marker.focus();
  else viewStore.setState({ announcement: "No two devices meet along the network" });
}

export function useHandCommands(model: Model, network: Network, devices: readonly Device[]): void {
  const nothing = useView(({ selection }) => selection.size === 0);
  const tool = useHand((hand) => hand.tool);
  const painting = useHand((hand) => hand.brush !== null);
  const unable = nothing ? NOTHING : null;
  const commands = useMemo((): Command[] => {
    return [
      ...devices.map(({ name }): Command => ({ id: `place.paint.${name}`, group: "Place", title: `Paint with ${name}`, words: "brush stroke", run: () => takeBrush(name) })),
      { id: "place.paint", group: "Place", title: "Paint along the network: then a device's number", keys: "B", words: "brush device stroke", run: chooseBrush },
      { id: "place.paint.leave", group: "Place", title: "Leave the brush", unable: painting ? null : "There is no brush in the hand", run: () => takeBrush(null) },
      { id: "place.boundary", group: "Place", title: "Go to a boundary between two devices: then ↑ ↓ move it", keys: "X", words: "cut marker front", run: focusBoundary },
      { id: "select.block", group: "Select", title: "Select the block around", unable, run: () => selectBlock(model, network) },
      { id: "select.end", group: "Select", title: "Select from here to the end", words: "onwards down", unable, run: () => selectToEnd(network) },
      { id: "select.cut", group: "Select", title: "Select from here to the next cut", words: "onwards same device", unable, run: () => selectToCut(network) },
      { id: "select.box", group: "Select", title: tool === "box" ? "Leave the selection box" : "Select by drawing a box", words: "lasso touch", run: () => setTool(tool === "box" ? "pointer" : "box") },
    ];
  }, [model, network, devices, unable, painting, tool]);
  useCommands(commands);
}
