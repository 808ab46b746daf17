/** An edge: thin within a device, a cut with its bytes between two. Between folded blocks it stands for all edges of the network there. */
import { useMemo } from "react";
import type { ShownEdge } from "@/graph/layout";
import { at } from "@/graph/network";
import { formatBytes } from "@/app/format";
import { markClass, useMark } from "@/devices/marks";
import { useShownPlan } from "@/plan/preview";
import { trafficOf, type Traffic } from "@/plan/traffic";
import { blamesEdge } from "@/planner/blame";
import { useScene } from "./context";
import { cutWidth } from "./cutWidth";
import { useView, viewStore } from "./view";

const DIGIT_WIDTH = 6.3;


export function Route({ edge }: { edge: ShownEdge }) {
  const { network } = useScene();
  const { path, kind } = edge;
  const spelled = useShownPlan((content) => JSON.stringify(trafficOf(network, content, edge.edges)));
  const traffic = useMemo(() => JSON.parse(spelled) as Traffic | null, [spelled]);
  if (traffic === null) return <path className={`edge edge-${kind}`} d={path} markerEnd="url(#ps-arrow)" />;
  return <Cut edge={edge} traffic={traffic} />;
}

function Cut({ edge: { path, kind, label }, traffic }: { edge: ShownEdge; traffic: Traffic }) {
  const { network } = useScene();
  const { bytes, toldBytes, isStudio, sources, sinks, codec, isEstimate, link, tensors } = traffic;
  const mark = useMark(sources[0]?.split(", ")[0]);
  const blamed = useView((view) => {
    const [makers, takers] = [sources, sinks].map((names) => names.flatMap((name) => name.split(", "))) as [string[], string[]];
    return blamesEdge(view.blame, makers, takers);
  });
  const { from, to } = at(network.edges, link);
  // What passes between parts is estimated here; the studio's report, which the device cards show, is exact.
  const text = `${isEstimate ? "≈ " : ""}${formatBytes(Math.round(toldBytes))}${codec === "" ? "" : ` · ${codec}`}`;
  // At the press, before the canvas takes it for the beginning of a selection.
  const choose = (event: React.PointerEvent) => {
    if (event.button !== 0) return;
    event.stopPropagation();
    viewStore.setState({ link });
  };
  const half = (text.length * DIGIT_WIDTH + 12) / 2;
  const shown = (
    <g
      className={codec === "" ? "edge-label" : "edge-label has-codec"}
      transform={`translate(${label[0]} ${label[1]})`}
      onPointerDown={choose}
      data-testid={`edge-label-${at(network.nodes, from).name}-${at(network.nodes, to).name}`}
    >
      <rect x={-half} y={-7.5} width={half * 2} height={15} rx={7.5} />
      <text textAnchor="middle" y={3.6}>
        {text}
      </text>
    </g>
  );
  // What comes from the studio or goes back there crosses a link, too; it is drawn as thin as what stays on a device.
  if (isStudio) {
    return (
      <g className={blamed ? "edge-studio is-blamed" : "edge-studio"}>
        <title>{`${tensors.join(", ")} (${text} per frame), from or to the studio. Press the label to choose how it travels.`}</title>
        <path className={`edge edge-${kind}`} d={path} markerEnd="url(#ps-arrow)" />
        {shown}
      </g>
    );
  }
  const width = cutWidth(bytes);
  return (
    <g className={`edge-cut ${markClass(mark, true)}${blamed ? " is-blamed" : ""}`}>
      <title>{`${sources.join("; ")} → ${sinks.join("; ")}: ${tensors.join(", ")} (${text} per frame). Press the label to choose how it travels.`}</title>
      <path className="edge-halo" d={path} strokeWidth={width + 4} />
      <path className="edge-line" d={path} strokeWidth={width} markerEnd="url(#ps-arrow-cut)" />
      {toldBytes > 0 && shown}
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
