/** "Split this": how the selected layers are divided, over which devices, in which shares. */
import { Button, Checkbox, Popover, Radio, Select, Switch } from "@mantine/core";
import { IconArrowsSplit2 } from "@tabler/icons-react";
import { useState } from "react";
import type { Device, Model } from "@/api/types";
import { formatPercent, plural } from "@/app/format";
import { ProblemCard } from "@/app/ProblemCard";
import { DeviceSign } from "@/devices/DeviceSign";
import { useMarks } from "@/devices/marks";
import { isUsable } from "@/devices/words";
import { at, type Network } from "@/graph/network";
import { deviceOf, type Content } from "@/plan/content";
import { devicesOfLayer } from "@/plan/divisions";
import { choiceFrom, exchangePoints, gridShapes, hasHalos, hasTiles, incomplete, MAX_PARTS, MIDDLE_WEIGHT, MIN_PARTS, MOST_WEIGHT, resized, shardingFrom, type SplitChoice } from "@/plan/split";
import { planStore, usePlan } from "@/plan/store";
import { SPLIT_KINDS, SPLIT_WORDS } from "@/plan/words";
import { useSplit } from "./useSplit";
import { useView, viewStore } from "./view";

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

function SplitForm({ model, network, devices, nodes }: SplitProps) {
  const layers = nodes.map((node) => at(network.nodes, node).name);
  const points = exchangePoints(network, nodes);
  const rest = usePlan((content) => content.rest);
  const places = [...devices.map(({ name }) => name), ...Object.keys(rest.resources)];
  const [choice, setChoice] = useState(() => {
    const able = devices.filter(isUsable).map(({ name }) => name);
    return firstChoice(planStore.getState().content, layers, places, able);
  });
  const { busy, problem, reset, send } = useSplit(model);
  const change = (part: Partial<SplitChoice>) => {
    reset();
    setChoice((old) => fitTiles({ ...old, ...part }));
  };
  const close = () => {
    reset();
    setOpen(false);
  };
  const missing = incomplete(choice);
  const { kind } = choice;
  return (
    <form
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
      <Parts choice={choice} places={places} rest={rest} change={change} />
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

interface ChoiceProps {
  choice: SplitChoice;
  change: (part: Partial<SplitChoice>) => void;
}

/** The devices to choose from, in the order of their cards; each chosen one with its share. */
function Parts({ choice: { kind, parts }, places, rest, change }: ChoiceProps & { places: readonly string[]; rest: Content["rest"] }) {
  const marks = useMarks();
  const weights = new Map(parts.map(({ place, weight }) => [place, weight]));
  const sum = parts.reduce((total, { weight }) => total + weight, 0);
  const toggle = (place: string) => {
    const chosen = new Set(weights.keys());
    if (!chosen.delete(place)) chosen.add(place);
    change({ parts: places.filter((known) => chosen.has(known)).map((known) => ({ place: known, weight: weights.get(known) ?? MIDDLE_WEIGHT })) });
  };
  if (places.length < MIN_PARTS) return <p className="split-what">Register a second device first: a part needs a device of its own.</p>;
  return (
    <ul className="split-parts" aria-label="Devices">
      {places.map((place) => {
        const weight = weights.get(place);
        const device = deviceOf({ rest }, place);
        return (
          <li key={place}>
            <Checkbox
              size="xs"
              checked={weight !== undefined}
              disabled={weight === undefined && parts.length >= MAX_PARTS}
              onChange={() => toggle(place)}
              label={
                <span className="split-place">
                  <DeviceSign mark={marks.get(device) ?? null} /> {place}
                  {place !== device && <small>{device}</small>}
                </span>
              }
              data-testid={`split-device-${place}`}
            />
            {weight !== undefined && !hasTiles(kind) && (
              <Weight
                name={place}
                value={weight}
                share={weight / sum}
                change={(next) => change({ parts: parts.map((part) => (part.place === place ? { place, weight: next } : part)) })}
              />
            )}
          </li>
        );
      })}
    </ul>
  );
}

/** How tiles lie: rows times columns, and how high and wide they are. */
function Tiles({ choice: { kind, parts, heights, widths }, change }: ChoiceProps) {
  const shapes = gridShapes(parts.length).filter(([rows, columns]) => kind === "tiles" || (rows > 1 && columns > 1));
  if (shapes.length === 0) return null;
  const [height, width] = [heights, widths].map((list) => list.reduce((sum, weight) => sum + weight, 0)) as [number, number];
  const put = (list: readonly number[], place: number, weight: number) => list.map((old, i) => (i === place ? weight : old));
  return (
    <div className="split-tiles">
      <Select
        size="xs"
        label="Tiles"
        value={`${heights.length} × ${widths.length}`}
        data={shapes.map(([rows, columns]) => ({ value: `${rows} × ${columns}`, label: `${plural(rows, "row")} × ${plural(columns, "column")}` }))}
        onChange={(value) => {
          const [rows, columns] = shapes.find((shape) => shape.join(" × ") === value) ?? [heights.length, widths.length];
          change({ heights: resized(heights, rows), widths: resized(widths, columns) });
        }}
        allowDeselect={false}
        comboboxProps={{ withinPortal: false }}
        data-testid="split-shape"
      />
      <ul className="split-parts">
        {heights.length > 1 &&
          heights.map((weight, i) => (
            <li key={`row ${i}`}>
              <span>Row {i + 1}</span>
              <Weight name={`Row ${i + 1}`} value={weight} share={weight / height} change={(next) => change({ heights: put(heights, i, next) })} />
            </li>
          ))}
        {widths.length > 1 &&
          widths.map((weight, i) => (
            <li key={`column ${i}`}>
              <span>Column {i + 1}</span>
              <Weight name={`Column ${i + 1}`} value={weight} share={weight / width} change={(next) => change({ widths: put(widths, i, next) })} />
            </li>
          ))}
      </ul>
    </div>
  );
}

/** A weight against the others, by slider or number, with the share that it comes to. */
function Weight({ name, value, share, change }: { name: string; value: number; share: number; change: (value: number) => void }) {
  return (
    <span className="split-weight">
      <input type="range" min={1} max={Math.max(MOST_WEIGHT, Math.ceil(value))} step={1} value={value} onChange={(event) => change(Number(event.currentTarget.value))} aria-label={`Share of ${name}, against the others`} data-testid={`split-weight-${name}`} />
      <input
        type="number"
        min={0.01}
        step="any"
        value={value}
        onChange={(event) => {
          const next = event.currentTarget.valueAsNumber;
          if (Number.isFinite(next) && next > 0) change(next);
        }}
        aria-label={`Share of ${name} as a number`}
      />
      <output>{formatPercent(share)}</output>
    </span>
  );
}
