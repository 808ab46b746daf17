/** An edge: thin within a device, a cut with its bytes between two. */
import { at } from "@/graph/network";
import { formatBytes } from "@/app/format";
import { markClass, useMark } from "@/devices/marks";
import { codecLabel } from "@/plan/codecs";
import { devicesOfLayer, divisionsOf, placesOfNode } from "@/plan/divisions";
import { crossings } from "@/plan/estimate";
import { useShownPlan } from "@/plan/preview";
import { blamesEdge } from "@/planner/blame";
import { useScene } from "./context";
import { useView, viewStore } from "./view";

const DIGIT_WIDTH = 6.3;

export function Route({ index }: { index: number }) {
  const { network, layout } = useScene();
  const edge = at(network.edges, index);
  const { path, kind, label } = at(layout.edges, index);
  const from = at(network.nodes, edge.from);
  const to = at(network.nodes, edge.to);
  const inside = from.kind === "layer" && to.kind === "layer";
  const sources = useShownPlan((content) => devicesOfLayer(content, from.name).join(", "));
  const sinks = useShownPlan((content) => devicesOfLayer(content, to.name).join(", "));
  const bytes = useShownPlan((content) => (inside ? crossings(content, from.name, to.name, edge.bytes).reduce((sum, crossing) => sum + crossing.bytes, 0) : 0));
  const divided = useShownPlan(({ shards }) => divisionsOf(shards).has(from.name) || divisionsOf(shards).has(to.name));
  const mark = useMark(useShownPlan((content) => devicesOfLayer(content, from.name)[0]));
  // A tensor that several layers of one device take crosses once: only the first of its edges tells the bytes.
  const first = useShownPlan(
    (content) =>
      !at(network.outgoing, edge.from).some((other) => {
        const { index: i, to: taker, bytes: size } = at(network.edges, other);
        return i < index && size === edge.bytes && devicesOfLayer(content, at(network.nodes, taker).name).join(", ") === sinks;
      }),
  );
  const codec = useShownPlan((content) => codecLabel(content, placesOfNode(content, from), placesOfNode(content, to), edge.tensors));
  const blamed = useView((view) => {
    const [makers, takers] = [from.kind === "layer" ? sources : "studio", to.kind === "layer" ? sinks : "studio"].map((names) => names.split(", ")) as [string[], string[]];
    return blamesEdge(view.blame, makers, takers);
  });
  // What comes from the studio or goes back there crosses a link, too; it is drawn as thin as what stays on a device.
  const ends = useShownPlan((content) => !inside && [from, to].every((node) => node.kind !== "layer" || devicesOfLayer(content, node.name).length > 0));
  if (bytes === 0 && !ends) return <path className={`edge edge-${kind}`} d={path} markerEnd="url(#ps-arrow)" />;
  const width = Math.min(5, 1.2 + Math.log10(Math.max(bytes, 1)) * 0.36);
  // What passes between parts is estimated here; the studio's report, which the device cards show, is exact.
  const text = `${divided ? "≈ " : ""}${formatBytes(Math.round(ends ? edge.bytes : bytes))}${codec === "" ? "" : ` · ${codec}`}`;
  // At the press, before the canvas takes it for the beginning of a selection.
  const choose = (event: React.PointerEvent) => {
    if (event.button !== 0) return;
    event.stopPropagation();
    viewStore.setState({ link: index });
  };
  const half = (text.length * DIGIT_WIDTH + 12) / 2;
  const shown = (
    <g className={codec === "" ? "edge-label" : "edge-label has-codec"} transform={`translate(${label[0]} ${label[1]})`} onPointerDown={choose} data-testid={`edge-label-${from.name}-${to.name}`}>
      <rect x={-half} y={-7.5} width={half * 2} height={15} rx={7.5} />
      <text textAnchor="middle" y={3.6}>
        {text}
      </text>
    </g>
  );
  if (ends) {
    return (
      <g className={blamed ? "edge-studio is-blamed" : "edge-studio"}>
        <title>{`${edge.tensors.join(", ")} (${text} per frame), from or to the studio. Press the label to choose how it travels.`}</title>
        <path className={`edge edge-${kind}`} d={path} markerEnd="url(#ps-arrow)" />
        {shown}
      </g>
    );
  }
  return (
    <g className={`edge-cut ${markClass(mark, true)}${blamed ? " is-blamed" : ""}`}>
      <title>{`${sources} → ${sinks}: ${edge.tensors.join(", ")} (${text} per frame). Press the label to choose how it travels.`}</title>
      <path className="edge-halo" d={path} strokeWidth={width + 4} />
      <path className="edge-line" d={path} strokeWidth={width} markerEnd="url(#ps-arrow-cut)" />
      {first && shown}
    </g>
  );
}

/** Arrow heads, referred to by every edge. */
export function EdgeMarkers() {
  return (
    <svg className="edge-markers" aria-hidden>
      <defs>
        <marker id="ps-arrow" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="7" markerHeight="7" markerUnits="userSpaceOnUse" orient="auto">
          <path d="M1 1 7 4 1 7z" className="edge-head" />
        </marker>
        <marker id="ps-arrow-cut" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="10" markerHeight="10" markerUnits="userSpaceOnUse" orient="auto">
          <path d="M0 0 8 4 0 8z" className="edge-head-cut" />
        </marker>
      </defs>
    </svg>
  );
}
