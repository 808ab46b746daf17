/** The parts of a split: which devices, each with its share. The shares are linked, so that they sum to 100 %. */
import { Button, Checkbox, Select } from "@mantine/core";
import type { Model } from "@/api/types";
import { plural } from "@/app/format";
import { deviceOf, type Content } from "@/plan/content";
import { gridShapes, hasTiles, MAX_PARTS, MIDDLE_WEIGHT, MIN_PARTS, percents, relinked, resized, sharesBySpeed, type SplitChoice } from "@/plan/split";
import { ProfilePress } from "@/planner/ProfilePress";
import { useCosts } from "@/profiles/costs";
import { PlaceLabel } from "./PlaceLabel";

interface ChoiceProps {
  choice: SplitChoice;
  change: (part: Partial<SplitChoice>) => void;
}

/** The devices to choose from, in the order of their cards; each chosen one with its share. */
interface PartsProps extends ChoiceProps {
  model: Model;
  places: readonly string[];
  layers: readonly string[];
  rest: Content["rest"];
}

export function Parts({ model, choice: { kind, parts }, places, layers, rest, change }: PartsProps) {
  const weights = new Map(parts.map(({ place, weight }) => [place, weight]));
  const shares = percents(parts.map(({ weight }) => weight));
  const deal = (dealt: readonly number[]) => change({ parts: parts.map(({ place }, i) => ({ place, weight: dealt[i] ?? MIDDLE_WEIGHT })) });
  const toggle = (place: string) => {
    const chosen = new Set(weights.keys());
    if (!chosen.delete(place)) chosen.add(place);
    change({ parts: places.filter((known) => chosen.has(known)).map((known) => ({ place: known, weight: weights.get(known) ?? MIDDLE_WEIGHT })) });
  };
  if (places.length < MIN_PARTS) return <p className="split-what">Register a second device first: a part needs a device of its own.</p>;
  return (
    <>
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
                label={<PlaceLabel place={place} device={device} />}
                data-testid={`split-device-${place}`}
              />
              {weight !== undefined && !hasTiles(kind) && (
                <Share
                  name={place}
                  percent={shares[parts.findIndex((part) => part.place === place)] ?? 0}
                  most={101 - parts.length}
                  change={(percent) => deal(relinked(parts.map((part) => part.weight), parts.findIndex((part) => part.place === place), percent))}
                />
              )}
            </li>
          );
        })}
      </ul>
      {!hasTiles(kind) && parts.length >= MIN_PARTS && <Deal model={model} devices={parts.map(({ place }) => deviceOf({ rest }, place))} layers={layers} deal={deal} />}
    </>
  );
}

/** Shares at a press: all the same, or by how fast each device computes these layers. */
function Deal({ model, devices, layers, deal }: { model: Model; devices: readonly string[]; layers: readonly string[]; deal: (shares: readonly number[]) => void }) {
  const found = sharesBySpeed(layers, devices, useCosts());
  const unknown = "unknown" in found ? found.unknown : [];
  const why = unknown.length === 0 ? null : `Not profiled yet: ${unknown.join(", ")}.`;
  return (
    <div className="split-deal">
      <Button size="compact-xs" variant="default" onClick={() => deal(devices.map(() => MIDDLE_WEIGHT))} data-testid="split-even">
        Even
      </Button>
      <Button size="compact-xs" variant="default" disabled={why !== null} title={why ?? "By how fast each device computes these layers"} onClick={() => "shares" in found && deal(found.shares)} data-testid="split-by-speed">
        By speed
      </Button>
      {why !== null && (
        <span className="split-missing">
          {why} <ProfilePress model={model} devices={unknown} />
        </span>
      )}
    </div>
  );
}

/** How tiles lie: rows times columns, and how high and wide they are. */
export function Tiles({ choice: { kind, parts, heights, widths }, change }: ChoiceProps) {
  const shapes = gridShapes(parts.length).filter(([rows, columns]) => kind === "tiles" || (rows > 1 && columns > 1));
  if (shapes.length === 0) return null;
  const [high, wide] = [percents(heights), percents(widths)];
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
          high.map((percent, i) => (
            <li key={`row ${i}`}>
              <span>Row {i + 1}</span>
              <Share name={`Row ${i + 1}`} percent={percent} most={101 - high.length} change={(next) => change({ heights: relinked(heights, i, next) })} />
            </li>
          ))}
        {widths.length > 1 &&
          wide.map((percent, i) => (
            <li key={`column ${i}`}>
              <span>Column {i + 1}</span>
              <Share name={`Column ${i + 1}`} percent={percent} most={101 - wide.length} change={(next) => change({ widths: relinked(widths, i, next) })} />
            </li>
          ))}
      </ul>
    </div>
  );
}

/** A share in per cent, by slider or number. */
function Share({ name, percent, most, change }: { name: string; percent: number; most: number; change: (percent: number) => void }) {
  return (
    <span className="split-weight">
      <input type="range" min={1} max={most} step={1} value={percent} onChange={(event) => change(Number(event.currentTarget.value))} aria-label={`Share of ${name}`} aria-valuetext={`${percent} per cent`} data-testid={`split-weight-${name}`} />
      <input
        type="number"
        min={1}
        max={most}
        step={1}
        value={percent}
        onChange={(event) => {
          const next = event.currentTarget.valueAsNumber;
          if (Number.isFinite(next)) change(next);
        }}
        aria-label={`Share of ${name} in per cent`}
        data-testid={`split-share-${name}`}
      />
      <span aria-hidden>%</span>
    </span>
  );
}
