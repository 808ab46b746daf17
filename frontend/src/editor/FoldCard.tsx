/** A folded block: many layers as one card, with the devices that hold them. */
import { IconArrowsDiagonal } from "@tabler/icons-react";
import { useMemo } from "react";
import { formatPercent, formatWhole, plural } from "@/app/format";
import { markClass, useMarks } from "@/devices/marks";
import type { Fold } from "@/graph/folds";
import { at } from "@/graph/network";
import { devicesOfLayer, whereabouts } from "@/plan/divisions";
import { useShownPlan } from "@/plan/preview";
import { sharesOfLayers, type DeviceShare } from "@/plan/shares";
import { blamesDevice } from "@/planner/blame";
import { Bar, heatStyle, useBar } from "./Bar";
import { CardCorner } from "./CardCorner";
import { OtherSide, otherWords } from "@/plans/OtherSide";
import { useDifference } from "@/plans/useDifference";
import { useScene } from "./context";
import { foldKind, foldSize, foldTitle } from "./foldWords";
import { shorten } from "./shorten";
import { TroubleMark, TroubleWords, useSummary } from "./TroubleMark";
import { endTrace, trace } from "./tracing";
import { tellSummary } from "./troubles";
import { useView } from "./view";

export function FoldCard({ fold }: { fold: Fold }) {
  const { network } = useScene();
  const marks = useMarks();
  const layers = useMemo(() => fold.nodes.map((node) => at(network.nodes, node).name), [fold, network]);
  const spelled = useShownPlan((content) => JSON.stringify(sharesOfLayers(content, layers)));
  const shares = useMemo(() => JSON.parse(spelled) as DeviceShare[], [spelled]);
  const chosen = useView(({ selection }) => fold.nodes.reduce((count, node) => count + (selection.has(node) ? 1 : 0), 0));
  const cursor = useView((view) => view.cursor !== null && fold.nodes.includes(view.cursor));
  const hits = useView((view) => (view.hits.size === 0 ? 0 : fold.nodes.reduce((count, node) => count + (view.hits.has(node) ? 1 : 0), 0)));
  const summary = useSummary(layers);
  const devices = useShownPlan((content) => [...new Set(layers.flatMap((layer) => devicesOfLayer(content, layer)))].join("\n"));
  const blamed = useView((view) => blamesDevice(view.blame, devices.split("\n")));
  const where = useShownPlan((content) => layers.map((layer) => whereabouts(content, layer)).join("\n"));
  const deployed = useView((view) => view.deployed);
  const changed = useMemo(() => deployed !== null && layers.map((layer) => whereabouts(deployed, layer)).join("\n") !== where, [deployed, layers, where]);
  const difference = useDifference(layers);
  const apart = difference === null || difference === "same" ? null : difference;
  const { shape } = at(network.nodes, at(fold.nodes, fold.nodes.length - 1));
  const [only] = shares;
  const whole = shares.length === 1 && only ? only.device : undefined;
  const mark = whole === undefined ? null : (marks.get(whole) ?? null);
  const bar = useBar(fold.nodes);
  const told = shares.map(({ device, share: part }) => `${device === "" ? "no device" : device}${shares.length > 1 ? ` ${formatPercent(part)}` : ""}`).join(", ");
  const classes = [
    "card is-fold",
    whole === undefined ? "dev-none is-divided" : markClass(mark, whole !== ""),
    chosen === fold.nodes.length ? "is-selected" : chosen > 0 && "is-partly",
    cursor && "is-cursor",
    hits > 0 && "is-hit",
    summary && `is-${summary.worst.severity}`,
    blamed && "is-blamed",
    bar.heat !== null && "is-heat",
    apart ? "is-apart" : difference === "same" && "is-same",
  ];
  return (
    <>
      <div
        className={classes.filter(Boolean).join(" ")}
        data-testid={`block-${fold.name}`}
        data-node={fold.nodes[0]}
        style={heatStyle(bar)}
        onPointerEnter={() => trace(at(fold.nodes, 0))}
        onPointerLeave={() => endTrace(at(fold.nodes, 0))}
        data-block-devices={devices.replaceAll("\n", " ")}
        title={[`${foldTitle(fold)}: ${foldSize(fold)}`, `on ${told}`, apart && `${formatWhole(apart.count)} of them elsewhere ${otherWords(apart)}`, bar.told, summary && tellSummary(summary)].filter(Boolean).join("\n")}
      >
        {whole === undefined ? <FoldStripes shares={shares} /> : <span className="card-stripe" />}
        <span className="card-op">{foldKind(fold)}</span>
        <CardCorner shape={shape} heat={bar.heat} />
        <span className="card-line">
          <span className="card-name">
            {shorten(fold.name, 18)} · {plural(fold.nodes.length, "layer")}
          </span>
          <span className="card-badge">
            {apart && <span className="card-differs">≠{formatWhole(apart.count)}</span>}
            {hits > 0 && <span className="card-hits">{plural(hits, "hit")}</span>}
            {changed && <i className="card-changed" title="Changed since the last deploy" />}
            {summary && <TroubleMark summary={summary} />}
            {whole === undefined ? <span className="card-split">×{shares.length}</span> : whole === "" ? "–" : (mark?.initials ?? "?")}
          </span>
        </span>
        <button type="button" tabIndex={-1} className="card-open" data-open-fold={fold.index} aria-label={`Open ${fold.name}`} title={`Open ${fold.name} (O)`}>
          <IconArrowsDiagonal size={12} />
        </button>
        {apart && <OtherSide difference={apart} />}
        <Bar share={bar.share} />
      </div>
      {summary && <TroubleWords summary={summary} />}
    </>
  );
}

/** One stripe per device, as high as its share of the layers. */
function FoldStripes({ shares }: { shares: readonly DeviceShare[] }) {
  const marks = useMarks();
  return (
    <span className="card-segments" data-testid="stripes">
      {shares.map(({ device, share }) => {
        const mark = marks.get(device) ?? null;
        return (
          <span key={device} className={`card-segment ${markClass(mark, device !== "")}`} data-device={device} style={{ flexGrow: share }}>
            {shares.length <= 4 && share > 0.2 && <b>{device === "" ? "–" : (mark?.initials ?? "?")}</b>}
          </span>
        );
      })}
    </span>
  );
}
