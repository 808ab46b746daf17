/** "Split this": how the selected layers are divided, over which devices, in which shares. */
import { Button, Popover, Radio, Switch } from "@mantine/core";
import { useWindowEvent } from "@mantine/hooks";
import { IconArrowsSplit2 } from "@tabler/icons-react";
import { useEffect, useRef, useState } from "react";
import type { Device, Model } from "@/api/types";
import { plural } from "@/app/format";
import { ProblemCard } from "@/app/ProblemCard";
import { isUsable } from "@/devices/words";
import { at, type Network } from "@/graph/network";
import { figureRows } from "@/plan/changes";
import type { Content } from "@/plan/content";
import { devicesOfLayer } from "@/plan/divisions";
import { choiceFrom, exchangePoints, gridShapes, hasHalos, hasTiles, incomplete, MAX_PARTS, MIDDLE_WEIGHT, MIN_PARTS, resized, shardingFrom, type SplitChoice } from "@/plan/split";
import { planStore, usePlan } from "@/plan/store";
import { SPLIT_KINDS, SPLIT_WORDS } from "@/plan/words";
import { cameraMan } from "./camera";
import { FigureChip } from "./FigureChip";
import { useOutcome } from "./outcome";
import { Parts, Tiles } from "./SplitParts";
import { useSplit } from "./useSplit";
import { useView, viewStore } from "./view";

/** Until the form stands where it stays. */
const PLACED_MS = 60;

const setOpen = (splitting: boolean): void => viewStore.setState({ splitting, refused: null });

interface SplitProps {
  model: Model;
  network: Network;
  devices: readonly Device[];
  /** Nodes, in topological order. */
  nodes: readonly number[];
}

export function SplitPopover(props: SplitProps) {
  const open = useView((view) => view.splitting);
  return (
    <Popover opened={open} onChange={setOpen} position="top-end" width={390} withinPortal trapFocus returnFocus shadow="md" middlewares={{ shift: { padding: 8 }, flip: true, size: { padding: 8 } }}>
      <Popover.Target>
        <Button size="compact-sm" variant="default" leftSection={<IconArrowsSplit2 size={13} />} onClick={() => setOpen(!open)} data-testid="split-open" title="Divide these layers over several devices (S)">
          Split…
        </Button>
      </Popover.Target>
      <Popover.Dropdown className="split" aria-label="Split layers" data-testid="split">
        {open && <SplitForm {...props} />}
      </Popover.Dropdown>
    </Popover>
  );
}

/** The choice to begin with: what divides exactly these layers now, or rows over two devices, those of the layers first. */
function firstChoice(content: Content, layers: readonly string[], places: readonly string[], able: readonly string[]): SplitChoice {
  const wanted = [...layers].sort().join("\n");
  const present = content.shards.find((sharding) => [...sharding.layers].sort().join("\n") === wanted);
  if (present && new Set(present.devices).size === present.devices.length && present.devices.every((place) => places.includes(place))) return choiceFrom(present);
  const chosen = new Set(layers.flatMap((layer) => devicesOfLayer(content, layer)).filter((device) => places.includes(device)));
  for (const device of able) if (chosen.size < MIN_PARTS) chosen.add(device);
  const parts = places.filter((place) => chosen.has(place)).slice(0, MAX_PARTS);
  return { kind: "rows", parts: parts.map((place) => ({ place, weight: MIDDLE_WEIGHT })), heights: [MIDDLE_WEIGHT], widths: [MIDDLE_WEIGHT], exchange: false };
}

/** Another number of tiles: the squarest grid that has as many. */
function fitTiles(choice: SplitChoice): SplitChoice {
  const { kind, parts, heights, widths } = choice;
  if (!hasTiles(kind) || heights.length * widths.length === parts.length) return choice;
  const [rows = 1, columns = 1] = gridShapes(parts.length)[0] ?? [];
  return { ...choice, heights: resized(heights, rows), widths: resized(widths, columns) };
}

/** The card shows what the form asks for: it is not to lie under it. */
function useClearCard(node: number | undefined) {
  const form = useRef<HTMLFormElement>(null);
  useEffect(() => {
    // It is given its place after it was drawn.
    const settled = setTimeout(() => {
      const over = form.current?.closest(".split")?.getBoundingClientRect();
      const canvas = document.querySelector(".canvas")?.getBoundingClientRect();
      if (over && canvas && node !== undefined) cameraMan.clear(node, over.left - canvas.left, over.right - canvas.left);
    }, PLACED_MS);
    return () => clearTimeout(settled);
  }, [node]);
  return form;
}

function SplitForm({ model, network, devices, nodes }: SplitProps) {
  const layers = nodes.map((node) => at(network.nodes, node).name);
  const points = exchangePoints(network, nodes);
  const rest = usePlan((content) => content.rest);
  const places = [...devices.map(({ name }) => name), ...Object.keys(rest.resources)];
  const [choice, setChoice] = useState(() => {
    const able = devices.filter(isUsable).map(({ name }) => name);
    return firstChoice(planStore.getState().content, layers, places, able);
  });
  const missing = incomplete(choice);
  const { busy, problem, reset, send } = useSplit(model, missing === null ? shardingFrom(choice, layers, points) : null);
  const outcome = useOutcome();
  const form = useClearCard(nodes[0]);
  const change = (part: Partial<SplitChoice>) => {
    reset();
    setChoice((old) => fitTiles({ ...old, ...part }));
  };
  const close = () => {
    reset();
    setOpen(false);
  };
  // A press beside the form leaves to be done what was asked for; Escape does not. The popover lets no key through to the form.
  useWindowEvent("keydown", ({ key }) => key === "Escape" && reset(), { capture: true });
  const { kind } = choice;
  return (
    <form
      ref={form}
      onSubmit={(event) => {
        event.preventDefault();
        if (missing === null && !busy) send(shardingFrom(choice, layers, points), close);
      }}
    >
      <h2>Split {layers.length === 1 ? layers[0] : plural(layers.length, "layer")}</h2>
      <Radio.Group value={kind} onChange={(value) => change({ kind: SPLIT_KINDS.find((known) => known === value) ?? kind })} aria-label="How to split">
        <div className="split-kinds">
          {SPLIT_KINDS.map((value) => (
            <Radio key={value} size="xs" value={value} label={SPLIT_WORDS[value].title} data-testid={`split-kind-${value}`} />
          ))}
        </div>
      </Radio.Group>
      <p className="split-what">{SPLIT_WORDS[kind].what}</p>
      <Parts model={model} choice={choice} places={places} layers={layers} rest={rest} change={change} />
      {hasTiles(kind) && <Tiles choice={choice} change={change} />}
      {hasHalos(kind) && points.length > 0 && (
        <Switch
          size="xs"
          label="Exchange halos before every convolution"
          description={choice.exchange ? "Neighbours send each other the border rows that they need." : "Each device computes the borders that it needs twice; nothing is sent on the way."}
          checked={choice.exchange}
          onChange={(event) => change({ exchange: event.currentTarget.checked })}
          data-testid="split-exchange"
        />
      )}
      {problem && <ProblemCard problem={problem} />}
      {!problem && missing === null && outcome?.isTrial && (
        <ul className={outcome.settled ? "figure-chips is-lines split-figures" : "figure-chips is-lines split-figures is-dim"} aria-label="What it would change" data-testid="split-figures">
          {figureRows(outcome.before, outcome.now).map((row) => (
            <FigureChip key={row.name} row={row} />
          ))}
        </ul>
      )}
      <footer>
        <Button size="xs" variant="default" onClick={close}>
          Cancel
        </Button>
        {/* Not disabled while the studio is asked: the focus would be lost, and with it the keys. */}
        <Button size="xs" type="submit" aria-busy={busy} disabled={missing !== null} title={missing ?? undefined} data-testid="split-apply">
          {busy ? "Checking…" : `Split in ${choice.parts.length}`}
        </Button>
        {missing !== null && <span className="split-missing">{missing}</span>}
      </footer>
    </form>
  );
}
