/** A layer on the canvas. It holds no state: cards out of view are unmounted. */
import { at, type NetworkNode } from "@/graph/network";
import { formatShape } from "@/app/format";
import { markClass, useMark } from "@/devices/marks";
import { usePlan } from "@/plan/store";
import { useScene } from "./context";
import { useView, type Measure } from "./view";

export function measured(node: NetworkNode, measure: Measure): number {
  if (measure === "macs") return node.macs;
  return measure === "parameters" ? node.parameters : node.activationBytes;
}

export function Card({ index }: { index: number }) {
  const { network } = useScene();
  const node = at(network.nodes, index);
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

/** The middle of a long name tells least: keep both ends. */
export function shorten(name: string, most = 26): string {
  return name.length <= most ? name : `${name.slice(0, 10)}…${name.slice(-(most - 11))}`;
}

function LayerCard({ node }: { node: NetworkNode }) {
  const { most } = useScene();
  const { index, name } = node;
  const device = usePlan((state) => state.placement[name]);
  const mark = useMark(device);
  const selected = useView((view) => view.selection.has(index));
  const cursor = useView((view) => view.cursor === index);
  const hit = useView((view) => view.hits.has(index));
  const measure = useView((view) => view.measure);
  const changed = useView((view) => view.deployed !== null && view.deployed[name] !== device);
  const share = most[measure] > 0 ? Math.sqrt(measured(node, measure) / most[measure]) : 0;
  const classes = ["card", markClass(mark, device !== undefined), selected && "is-selected", cursor && "is-cursor", hit && "is-hit"];
  return (
    <div
      className={classes.filter(Boolean).join(" ")}
      data-testid={`layer-${name}`}
      data-node={index}
      data-device-name={device ?? ""}
      title={`${node.op} ${name}\n${device === undefined ? "on no device" : `on ${device}`}`}
    >
      <span className="card-stripe" />
      <span className="card-op">{node.op}</span>
      <span className="card-shape">{formatShape(node.shape)}</span>
      <span className="card-name">{shorten(name)}</span>
      <span className="card-badge">
        {changed && <i className="card-changed" title="Changed since the last deploy" />}
        {device === undefined ? "–" : (mark?.initials ?? "?")}
      </span>
      <span className="card-bar">
        <span style={{ width: `${share * 100}%` }} />
      </span>
    </div>
  );
}
