/** A layer on the canvas. It holds no state: cards out of view are unmounted. */
import { useMemo } from "react";
import type { ShownItem } from "@/graph/layout";
import { at, type NetworkNode } from "@/graph/network";
import { formatShape } from "@/app/format";
import { markClass, useMark, useMarks } from "@/devices/marks";
import { deviceOf } from "@/plan/content";
import { devicesOfLayer, divisionsOf, whereabouts, type Division } from "@/plan/divisions";
import { useShownPlan } from "@/plan/preview";
import { badgeOf, describeDivision } from "@/plan/words";
import { blamesDevice } from "@/planner/blame";
import { Bar, useBar } from "./Bar";
import { useScene } from "./context";
import { FoldCard } from "./FoldCard";
import { shorten } from "./shorten";
import { useView } from "./view";

export function Card({ item }: { item: ShownItem }) {
  const { network, tree } = useScene();
  if (item.fold >= 0) return <FoldCard fold={at(tree.folds, item.fold)} />;
  const node = at(network.nodes, item.node);
  return node.kind === "layer" ? <LayerCard node={node} /> : <EndCard node={node} />;
}

function EndCard({ node }: { node: NetworkNode }) {
  return (
    <div className={`card-end card-${node.kind}`} title={node.name}>
      <span className="card-op">{node.op}</span>
      <span className="card-name">{node.name}</span>
      <span className="card-shape">{formatShape(node.shape)}</span>
    </div>
  );
}

function LayerCard({ node }: { node: NetworkNode }) {
  const { index, name } = node;
  const bar = useBar(useMemo(() => [index], [index]));
  const division = useShownPlan(({ shards }) => divisionsOf(shards).get(name));
  const place = useShownPlan(({ placement }) => placement[name]);
  const placed = useShownPlan((content) => (place === undefined ? undefined : deviceOf(content, place)));
  const group = useShownPlan(({ rest }) => (place === undefined ? undefined : rest.replicas[place]));
  const shared = useMemo(() => group?.places.map((one, i) => ({ name: `${one} ${i}`, place: one, share: 1 / group.places.length })), [group]);
  const device = division || group ? undefined : placed;
  const mark = useMark(device);
  const selected = useView((view) => view.selection.has(index));
  const cursor = useView((view) => view.cursor === index);
  const hit = useView((view) => view.hits.has(index));
  const wrong = useView((view) => (view.refused?.layer === name ? view.refused.message : view.wrong.get(name)));
  const devices = useShownPlan((content) => devicesOfLayer(content, name).join("\n"));
  const blamed = useView((view) => blamesDevice(view.blame, devices.split("\n")));
  const where = useShownPlan((content) => whereabouts(content, name));
  const changed = useView((view) => view.deployed !== null && whereabouts(view.deployed, name) !== where);
  const classes = ["card", markClass(mark, device !== undefined), (division ?? group) && "is-divided", selected && "is-selected", cursor && "is-cursor", hit && "is-hit", wrong !== undefined && "is-wrong", blamed && "is-blamed"];
  const told = division ? describeDivision(division) : group ? `frames shared by ${group.places.join(", ")}` : device === undefined ? "on no device" : `on ${device}${place === device ? "" : ` (${place})`}`;
  return (
    <div
      className={classes.filter(Boolean).join(" ")}
      data-testid={`layer-${name}`}
      data-node={index}
      data-device-name={division ? division.parts.map((part) => part.place).join(" ") : (group?.places.join(" ") ?? device ?? "")}
      title={[`${node.op} ${name}`, told, bar.told, wrong].filter(Boolean).join("\n")}
    >
      {division || shared ? <Segments parts={division?.parts ?? shared ?? []} /> : <span className="card-stripe" />}
      <span className="card-op">{node.op}</span>
      <span className="card-shape">{formatShape(node.shape)}</span>
      <span className="card-line">
        <span className="card-name">{shorten(name)}</span>
        <span className="card-badge">
          {changed && <i className="card-changed" title="Changed since the last deploy" />}
          {wrong !== undefined && <i className="card-wrong">!</i>}
          {division ? <span className="card-split">{badgeOf(division)}</span> : group ? <span className="card-split">replicas ×{group.places.length}</span> : device === undefined ? "–" : (mark?.initials ?? "?")}
        </span>
      </span>
      <Bar share={bar.share} />
    </div>
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
