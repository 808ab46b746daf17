/** A layer on the canvas. It holds no state: cards out of view are unmounted. */
import { useMemo } from "react";
import { own } from "@/app/own";
import type { ShownItem } from "@/graph/layout";
import { at, type NetworkNode } from "@/graph/network";
import { formatShape, withoutBatch } from "@/app/format";
import { markClass, useMarks } from "@/devices/marks";
import { deviceOf } from "@/plan/content";
import { devicesOfLayer, divisionsOf, whereabouts, type Division } from "@/plan/divisions";
import { differing } from "@/plan/compare";
import { useShownPlan } from "@/plan/preview";
import { sharesOfLayers } from "@/plan/shares";
import { badgeOf, describeDivision } from "@/plan/words";
import { blamesDevice } from "@/planner/blame";
import { Bar, barOf, heatStyle } from "./Bar";
import { CardCorner } from "./CardCorner";
import { OtherSide, otherWords } from "@/plans/OtherSide";
import { useScene } from "./context";
import { FoldCard } from "./FoldCard";
import { measuredOf } from "./measure";
import { Name } from "./Name";
import { useSeen, type Seen } from "./seen";
import { TroubleMark, TroubleWords } from "./TroubleMark";
import { endTrace, trace } from "./tracing";
import { tellSummary, type Summary } from "./troubles";

export function Card({ item }: { item: ShownItem }) {
  const { network, tree } = useScene();
  if (item.fold >= 0) return <FoldCard fold={at(tree.folds, item.fold)} />;
  const node = at(network.nodes, item.node);
  return node.kind === "layer" ? <LayerCard node={node} /> : <EndCard node={node} />;
}

function EndCard({ node }: { node: NetworkNode }) {
  return (
    <div className={`card-end card-${node.kind}`} title={`${node.op} ${node.name}: ${formatShape(node.shape)}`}>
      <span className="card-op">{node.op}</span>
      <Name name={node.name} />
      <span className="card-shape">{formatShape(withoutBatch(node.shape))}</span>
    </div>
  );
}

/** What a layer's card shows, by values that stay the same while nothing of it changes. */
function layerSeen({ content, view, marks, costs, other }: Seen, node: NetworkNode) {
  const { index, name } = node;
  const place = own(content.placement, name);
  const placed = place === undefined ? undefined : deviceOf(content, place);
  const differs = other !== null && differing([name], content, other.content).length > 0;
  return {
    value: measuredOf([node], view.measure, content, costs),
    measure: view.measure,
    heat: view.heat,
    division: divisionsOf(content.shards).get(name),
    place,
    placed,
    group: place === undefined ? undefined : own(content.rest.replicas, place),
    found: placed === undefined ? null : (marks.get(placed) ?? null),
    selected: view.selection.has(index),
    cursor: view.cursor === index,
    hit: view.hits.has(index),
    refused: view.refused?.layer === name ? view.refused.message : null,
    worst: view.troubles.get(name)?.[0] ?? null,
    blamed: view.blame !== null && blamesDevice(view.blame, devicesOfLayer(content, name)),
    changed: view.deployed !== null && whereabouts(view.deployed, name) !== whereabouts(content, name),
    compared: other !== null,
    apart: differs,
    other: differs ? other : null,
  };
}

function LayerCard({ node }: { node: NetworkNode }) {
  const { index, name } = node;
  const { most } = useScene();
  const { value, measure, heat, division, place, placed, group, found, selected, cursor, hit, refused, worst, blamed, changed, compared, apart: differs, other } = useSeen((seen) => layerSeen(seen, node));
  const bar = barOf(value, measure, heat, most[measure]);
  const device = division || group ? undefined : placed;
  const mark = device === undefined ? null : found;
  const shared = useMemo(() => group?.places.map((one, i) => ({ name: `${one} ${i}`, place: one, share: 1 / group.places.length })), [group]);
  const summary: Summary | null = refused !== null ? { worst: { severity: "error", message: refused, nextStep: null }, layers: 1 } : worst && { worst, layers: 1 };
  const apart = differs && other ? { count: 1, other: sharesOfLayers(other.content, [name]), name: other.name } : null;
  const classes = ["card", markClass(mark, device !== undefined), (division ?? group) && "is-divided", selected && "is-selected", cursor && "is-cursor", hit && "is-hit", summary && `is-${summary.worst.severity}`, blamed && "is-blamed", bar.heat !== null && "is-heat", apart ? "is-apart" : compared && "is-same"];
  const told = division ? describeDivision(division) : group ? `frames shared by ${group.places.join(", ")}` : device === undefined ? "on no device" : `on ${device}${place === device ? "" : ` (${place})`}`;
  return (
    <>
      <div
        className={classes.filter(Boolean).join(" ")}
        data-testid={`layer-${name}`}
        data-node={index}
        style={heatStyle(bar)}
        onPointerEnter={() => trace(index)}
        onPointerLeave={() => endTrace(index)}
        data-device-name={division ? division.parts.map((part) => part.place).join(" ") : (group?.places.join(" ") ?? device ?? "")}
        title={[`${node.op} ${name}`, told, apart && otherWords(apart), bar.told, summary && tellSummary(summary)].filter(Boolean).join("\n")}
      >
        {division || shared ? <Segments parts={division?.parts ?? shared ?? []} /> : <span className="card-stripe" />}
        <span className="card-op">{node.op}</span>
        <CardCorner shape={node.shape} heat={bar.heat} />
        <span className="card-line">
          <Name name={name} />
          <span className="card-badge">
            {changed && <i className="card-changed" title="Changed since the last deploy" />}
            {summary && <TroubleMark summary={summary} />}
            {division ? <span className="card-split">{badgeOf(division)}</span> : group ? <span className="card-split">replicas ×{group.places.length}</span> : device === undefined ? "–" : (mark?.initials ?? "?")}
          </span>
        </span>
        {apart && <OtherSide difference={apart} />}
        <Bar share={bar.share} />
      </div>
      {summary && <TroubleWords summary={summary} />}
    </>
  );
}

/** The parts of a divided layer or its replicas, stacked, each as high as its share; signs where they are few enough. */
function Segments({ parts }: Pick<Division, "parts">) {
  const marks = useMarks();
  const rest = useShownPlan((content) => content.rest);
  return (
    <span className="card-segments" data-testid="segments">
      {parts.map(({ name, place, share }) => {
        const device = deviceOf({ rest }, place);
        const mark = marks.get(device) ?? null;
        return (
          <span key={name} className={`card-segment ${markClass(mark, true)}`} data-device={device} style={{ flexGrow: share }}>
            {parts.length <= 4 && share > 0.2 && <b>{mark?.initials ?? "?"}</b>}
          </span>
        );
      })}
    </span>
  );
}
