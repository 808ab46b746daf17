/** An edge: thin within a device, a cut with its bytes between two. Between folded blocks it stands for all edges of the network there. */
import { useMemo, type PointerEvent, type ReactNode } from "react";
import { isShort, type ShownEdge } from "@/graph/layout";
import { at } from "@/graph/network";
import { formatBytes, formatRate, formatShape, withoutBatch } from "@/app/format";
import { markClass, useMark } from "@/devices/marks";
import { pairKey } from "@/live/pipeline";
import { usePipeline } from "@/live/pipelineStore";
import { useShownPlan } from "@/plan/preview";
import { devicesIn, spelledTraffic, type Traffic } from "@/plan/traffic";
import { blamesEdge } from "@/planner/blame";
import { useScene } from "./context";
import { cutWidth } from "./cutWidth";
import { OverEdges } from "./flow";
import { useClose, useTraced } from "./tracing";
import { useView, viewStore } from "./view";

const DIGIT_WIDTH = 6.3;

export function Route({ edge }: { edge: ShownEdge }) {
  const { network, layout } = useScene();
  const { path, kind } = edge;
  const spelled = useShownPlan((content) => spelledTraffic(network, content, edge.edges));
  const traffic = useMemo(() => JSON.parse(spelled) as Traffic | null, [spelled]);
  const traced = useTraced(edge, layout.itemOf);
  const close = useClose();
  if (traffic !== null) return <Cut edge={edge} traffic={traffic} traced={traced} />;
  return (
    <>
      <Line traced={traced}>
        <path className={`edge edge-${kind}${traced ? " is-traced" : ""}`} d={path} markerEnd="url(#ps-arrow)" />
      </Line>
      {close && kind === "flow" && <EdgeShape edge={edge} />}
    </>
  );
}

/** One that is followed is drawn above all others. */
function Line({ traced, children }: { traced: boolean; children: ReactNode }) {
  return traced ? <OverEdges as="line">{children}</OverEdges> : children;
}

/** The shape of what passes, where all of it has the same. */
function EdgeShape({ edge: { edges, label } }: { edge: ShownEdge }) {
  const { network } = useScene();
  const shapes = new Set(edges.map((edge) => formatShape(withoutBatch(at(network.nodes, at(network.edges, edge).from).shape))));
  const [shape] = shapes;
  if (shape === undefined || shapes.size > 1) return null;
  return (
    <OverEdges as="label">
      <text className="edge-shape" x={label[0] + 6} y={label[1] + 3}>
        {shape}
      </text>
    </OverEdges>
  );
}

function Cut({ edge, traffic, traced }: { edge: ShownEdge; traffic: Traffic; traced: boolean }) {
  const { network, layout } = useScene();
  const { path, kind, label } = edge;
  const { bytes, toldBytes, isStudio, sources, sinks, codec, isEstimate, link, tensors } = traffic;
  const mark = useMark(sources[0]?.split(", ")[0]);
  const blamed = useView((view) => blamesEdge(view.blame, devicesIn(sources), devicesIn(sinks)));
  const { from, to } = at(network.edges, link);
  // What passes between parts is estimated here; the studio's report, which the device cards show, is exact.
  const rate = usePipeline(({ now }) => {
    if (!now || now.framesPerS <= 0 || toldBytes === 0) return "";
    const measured = devicesIn(sources).flatMap((source) => devicesIn(sinks).flatMap((sink) => now.pairs.get(pairKey(source, sink)) ?? []));
    const sum = measured.reduce((total, pair) => total + pair.wireBytesPerS, 0);
    return sum > 0 ? formatRate(sum) : "";
  });
  const bytesText = `${isEstimate ? "≈ " : ""}${formatBytes(Math.round(toldBytes))}${codec === "" ? "" : ` · ${codec}`}`;
  // While frames flow there is room for one figure: what passes now.
  const text = rate === "" ? bytesText : rate;
  // At the press, before the canvas takes it for the beginning of a selection.
  const choose = (event: PointerEvent) => {
    if (event.button !== 0) return;
    event.stopPropagation();
    viewStore.setState({ link });
  };
  const half = (text.length * DIGIT_WIDTH + 12) / 2;
  // Where the way is no longer than the label is high, frames that flow would be seen nowhere but on it.
  const aside = rate !== "" && isShort(layout, edge) ? half + 9 : 0;
  const shown = (
    <OverEdges as="label">
      <g
        className={`edge-label${codec === "" ? "" : " has-codec"}${blamed ? " is-blamed" : ""}`}
        transform={`translate(${label[0] + aside} ${label[1]})`}
        onPointerDown={choose}
        data-testid={`edge-label-${at(network.nodes, from).name}-${at(network.nodes, to).name}`}
      >
        <title>Press to choose how it travels</title>
        <rect x={-half} y={-7.5} width={half * 2} height={15} rx={7.5} />
        <text textAnchor="middle" y={3.6}>
          {text}
        </text>
      </g>
    </OverEdges>
  );
  const told = `${tensors.join(", ")} (${bytesText} per frame${rate === "" ? "" : `, ${rate} measured${isStudio ? "" : " between these devices"}`})`;
  const width = cutWidth(bytes);
  return (
    <>
      <Line traced={traced}>
        {isStudio ? (
          // What comes from the studio or goes back there crosses a link, too; it is drawn as thin as what stays on a device.
          <g className={blamed ? "edge-studio is-blamed" : "edge-studio"}>
            <title>{`${told}, from or to the studio. Press the label to choose how it travels.`}</title>
            <path className={`edge edge-${kind}${traced ? " is-traced" : ""}`} d={path} markerEnd="url(#ps-arrow)" />
          </g>
        ) : (
          <g className={`edge-cut ${markClass(mark, true)}${blamed ? " is-blamed" : ""}${traced ? " is-traced" : ""}`}>
            <title>{`${sources.join("; ")} → ${sinks.join("; ")}: ${told}. Press the label to choose how it travels.`}</title>
            <path className="edge-halo" d={path} strokeWidth={width + 4} />
            <path className="edge-line" d={path} strokeWidth={width} markerEnd="url(#ps-arrow-cut)" />
          </g>
        )}
      </Line>
      {(isStudio || toldBytes > 0) && shown}
    </>
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
