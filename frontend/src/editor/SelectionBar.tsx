/** What is selected, and what can be done with it without dragging. */
import { Button, Menu } from "@mantine/core";
import { IconInfoCircle, IconSend, IconX } from "@tabler/icons-react";
import { useEffect, useMemo, useRef, type RefObject } from "react";
import type { Device, Model } from "@/api/types";
import { formatCount, formatMacs, plural } from "@/app/format";
import { allBlocks, blockAround } from "@/graph/blocks";
import { at, type Network } from "@/graph/network";
import { usePlan } from "@/plan/store";
import { SelectedAssignItems } from "./AssignItems";
import { OnwardsMenu } from "./OnwardsItems";
import { ReplicaPopover } from "./ReplicaPopover";
import { SplitPopover } from "./SplitPopover";
import { select, selectNamed, useView, viewStore } from "./view";

/** Tells what is around the bar how high it is: on a narrow window it has several lines, and notes stand above it. */
function useToldHeight(shown: boolean): RefObject<HTMLDivElement | null> {
  const ref = useRef<HTMLDivElement>(null);
  useEffect(() => {
    const [bar, host] = [ref.current, ref.current?.parentElement];
    if (!shown || !bar || !host) return;
    const sized = new ResizeObserver(() => host.style.setProperty("--selection-bar", `${bar.offsetHeight}px`));
    sized.observe(bar);
    return () => sized.disconnect();
  }, [shown]);
  return ref;
}

export function SelectionBar({ model, network, devices }: { model: Model; network: Network; devices: readonly Device[] }) {
  const selection = useView((view) => view.selection);
  const byHand = usePlan(({ rest }) => rest.blocks);
  const blocks = useMemo(() => allBlocks(model.blocks, byHand), [model, byHand]);
  const bar = useToldHeight(selection.size > 0);
  if (selection.size === 0) return null;
  const nodes = [...selection].sort((a, b) => a - b).map((node) => at(network.nodes, node));
  const macs = nodes.reduce((sum, node) => sum + node.macs, 0);
  const parameters = nodes.reduce((sum, node) => sum + node.parameters, 0);
  const [first] = nodes;
  const block = blockAround(blocks, nodes.map(({ name }) => name));
  const ops = new Set(nodes.map((node) => node.op));
  return (
    <div ref={bar} className="selection-bar" role="toolbar" aria-label="Selection">
      <span className="selection-what">
        <b>{nodes.length === 1 ? (first?.name ?? "") : plural(nodes.length, "layer")}</b>
        <span>
          {formatMacs(macs)} · {formatCount(parameters)} params
        </span>
      </span>
      <Menu position="top" withinPortal>
        <Menu.Target>
          <Button size="compact-sm" leftSection={<IconSend size={13} />} data-testid="assign-menu">
            Send to…
          </Button>
        </Menu.Target>
        <Menu.Dropdown>
          <SelectedAssignItems network={network} devices={devices} />
        </Menu.Dropdown>
      </Menu>
      <SplitPopover key={[...selection].join(" ")} model={model} network={network} devices={devices} nodes={nodes.map(({ index }) => index)} />
      <ReplicaPopover key={`replicas ${[...selection].join(" ")}`} devices={devices} layers={nodes.map(({ name }) => name)} />
      {block && (
        <Button size="compact-sm" variant="default" className="select-block" onClick={() => selectNamed(network, block.layers)} title={`Select ${block.name}, the block that holds this: ${plural(block.layers.length, "layer")}`} data-testid="select-block">
          {block.name}
        </Button>
      )}
      {ops.size === 1 && first && (
        <Button size="compact-sm" variant="default" onClick={() => select(network.nodes.filter((node) => node.kind === "layer" && node.op === first.op).map(({ index }) => index))}>
          All {first.op}
        </Button>
      )}
      <OnwardsMenu network={network} />
      <Button size="compact-sm" variant="default" leftSection={<IconInfoCircle size={13} />} onClick={() => viewStore.setState({ detailsOpen: true })} data-testid="details-open">
        Details
      </Button>
      <Button size="compact-sm" variant="subtle" color="gray" aria-label="Clear the selection" onClick={() => select([])}>
        <IconX size={14} />
      </Button>
    </div>
  );
}
