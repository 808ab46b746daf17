/** What the colours of the heat map mean, and the layers with the largest values. */
import { Button, Popover } from "@mantine/core";
import { useState } from "react";
import { formatPercent } from "@/app/format";
import { select, useView, MEASURE_LABELS, type Measure } from "./view";
import { at } from "@/graph/network";
import { usePlan } from "@/plan/store";
import { useCosts } from "@/profiles/costs";
import type { Scene } from "./context";
import { showNode } from "./folding";
import { largestOf, tellMeasure } from "./measure";
import { shorten } from "./shorten";

const MOST = 10;

export function HeatLegend({ scene }: { scene: Scene }) {
  const measure = useView((view) => view.measure);
  const heat = useView((view) => view.heat);
  if (!heat) return null;
  const most = scene.most[measure];
  return (
    <div className="heat-legend" role="group" aria-label="Heat map" data-testid="heat-legend">
      <p>
        <b>{MEASURE_LABELS[measure]}</b> of a card
      </p>
      <div className="heat-ramp" aria-hidden />
      <p className="heat-ends">
        <span>0</span>
        {/* The ramp goes by the root. */}
        <span>{tellMeasure(most / 4, measure)}</span>
        <span>{tellMeasure(most, measure)}</span>
      </p>
      <Largest scene={scene} measure={measure} />
    </div>
  );
}

function Largest({ scene, measure }: { scene: Scene; measure: Measure }) {
  const [opened, setOpened] = useState(false);
  return (
    <Popover opened={opened} onChange={setOpened} position="right-end" width={290} trapFocus withinPortal shadow="md">
      <Popover.Target>
        <Button size="compact-xs" variant="default" fullWidth onClick={() => setOpened(!opened)} data-testid="largest-open">
          The ten largest…
        </Button>
      </Popover.Target>
      <Popover.Dropdown aria-label={`Largest by ${MEASURE_LABELS[measure]}`}>{opened && <LargestList scene={scene} measure={measure} />}</Popover.Dropdown>
    </Popover>
  );
}

function LargestList({ scene, measure }: { scene: Scene; measure: Measure }) {
  const content = usePlan((whole) => whole);
  const costs = useCosts();
  const list = largestOf(scene.network, measure, content, costs, MOST);
  const go = (node: number) => {
    select([node]);
    showNode(scene, node);
  };
  if (list.length === 0) return <p className="details-none">Nothing is known of any layer.</p>;
  return (
    <ol className="largest" data-testid="largest">
      {list.map(({ node, value, share }) => {
        const { op, name } = at(scene.network.nodes, node);
        return (
          <li key={node}>
            <button type="button" className="link" onClick={() => go(node)} title={`Go to ${name}`}>
              {op} {shorten(name)}
            </button>
            <span>{tellMeasure(value, measure)}</span>
            <span className="details-bytes">{formatPercent(share)}</span>
            <i style={{ width: `${(100 * value) / (list[0]?.value ?? value)}%` }} />
          </li>
        );
      })}
    </ol>
  );
}
