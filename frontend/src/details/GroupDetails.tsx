/** About several layers: a block, or whatever is selected together. Sums, devices, what comes in and goes out. */
import { Button } from "@mantine/core";
import { IconArrowsDiagonal, IconArrowsDiagonalMinimize2 } from "@tabler/icons-react";
import { useMemo } from "react";
import type { Model } from "@/api/types";
import { formatBytes, formatPercent, formatShape, formatWhole, plural } from "@/app/format";
import { DeviceSign } from "@/devices/DeviceSign";
import { useMarks } from "@/devices/marks";
import { cameraMan } from "@/editor/camera";
import type { Scene } from "@/editor/context";
import { closeFold, openFold, setAlike } from "@/editor/folding";
import { foldKind } from "@/editor/foldWords";
import { alike, type Fold } from "@/graph/folds";
import { at, type Network } from "@/graph/network";
import { sharesOfLayers, type DeviceShare } from "@/plan/shares";
import { usePlan } from "@/plan/store";
import { trafficOf } from "@/plan/traffic";
import { DeviceCosts } from "./DeviceCosts";
import { Edges } from "./Edges";
import { jump, Panel, SumPairs } from "./Panel";
import { ShortList } from "./ShortList";
import { borderOf, devicesOf, insideOf, sumsOf, tellCount, tellKinds } from "./sums";
import { TroubleList } from "./TroubleList";

interface GroupProps {
  model: Model;
  network: Network;
  /** Ascending. */
  chosen: readonly number[];
  /** The block that they are. */
  fold: Fold | null;
  scene: Scene;
}

export function GroupDetails({ model, network, chosen, fold, scene }: GroupProps) {
  const nodes = useMemo(() => chosen.map((node) => at(network.nodes, node)), [chosen, network]);
  const layers = useMemo(() => nodes.map(({ name }) => name), [nodes]);
  const devices = usePlan((content) => devicesOf(content, layers).join("\n")).split("\n");
  const border = useMemo(() => {
    const inside = new Set(chosen);
    return [borderOf(network, inside, true), borderOf(network, inside, false), insideOf(network, inside)] as const;
  }, [chosen, network]);
  const last = at(nodes, nodes.length - 1);
  return (
    <Panel label={fold ? `Block ${fold.name}` : "Selected layers"} title={fold ? foldKind(fold) : tellCount(nodes)} name={fold ? `${fold.name} · ${plural(nodes.length, "layer")}` : `${at(nodes, 0).name} … ${last.name}`}>
      {fold && <FoldButtons fold={fold} scene={scene} />}
      <TroubleList network={network} nodes={chosen} />
      <dl>
        {fold && (
          <>
            <dt>Output</dt>
            <dd>{formatShape(last.shape)}</dd>
          </>
        )}
        <dt>Kinds</dt>
        <dd>{tellKinds(nodes)}</dd>
        <SumPairs sums={sumsOf(nodes)} />
      </dl>
      <Shares layers={layers} />
      {devices.filter((device) => device !== "").length > 1 && <CutsInside network={network} edges={border[2]} />}
      <DeviceCosts model={model.id} layers={layers} devices={devices} />
      <Edges network={network} title="Comes in from" edges={border[0]} incoming />
      <Edges network={network} title="Goes out to" edges={border[1]} incoming={false} />
      <Layers network={network} chosen={chosen} />
    </Panel>
  );
}

function FoldButtons({ fold, scene }: { fold: Fold; scene: Scene }) {
  const isOpen = scene.layout.open.includes(fold.name);
  const same = alike(scene.tree, fold.index).length;
  const [Icon, word, wanted] = isOpen ? ([IconArrowsDiagonalMinimize2, "Fold", "folded"] as const) : ([IconArrowsDiagonal, "Open", "open"] as const);
  const one = () => {
    cameraMan.holdNext(fold.index);
    (isOpen ? closeFold : openFold)(scene, fold.index);
  };
  return (
    <p className="details-buttons">
      <Button size="compact-xs" variant="default" leftSection={<Icon size={13} />} onClick={one} data-testid="details-fold">
        {word}
      </Button>
      {same > 1 && (
        <Button size="compact-xs" variant="default" onClick={() => setAlike(scene, fold.index, wanted)} data-testid="details-fold-alike">
          {word} all {formatWhole(same)} like this
        </Button>
      )}
    </p>
  );
}

function Shares({ layers }: { layers: readonly string[] }) {
  const marks = useMarks();
  const spelled = usePlan((content) => JSON.stringify(sharesOfLayers(content, layers)));
  const shares = JSON.parse(spelled) as DeviceShare[];
  return (
    <>
      <h3>Devices</h3>
      <ul className="details-shares">
        {shares.map(({ device, share }) => (
          <li key={device}>
            <DeviceSign mark={marks.get(device) ?? null} />
            <span>{device === "" ? "no device" : device}</span>
            <span className="details-bytes">{shares.length === 1 ? "all of them" : `${formatPercent(share)} of them`}</span>
          </li>
        ))}
      </ul>
    </>
  );
}

/** What passes between the devices of a block, which a folded card hides. */
function CutsInside({ network, edges }: { network: Network; edges: readonly number[] }) {
  const bytes = usePlan((content) => trafficOf(network, content, edges)?.toldBytes ?? 0);
  return <p className="details-none">{bytes === 0 ? "Nothing passes between them inside." : `${formatBytes(bytes)} per frame pass between them inside.`}</p>;
}

function Layers({ network, chosen }: { network: Network; chosen: readonly number[] }) {
  return (
    <>
      <h3>Layers</h3>
      <ShortList
        className="details-links"
        items={chosen}
        draw={(node) => {
          const { op, name, shape } = at(network.nodes, node);
          return (
            <li key={node}>
              <button type="button" className="link" onClick={() => jump(node)} title={`Go to ${name}`}>
                {op} {name}
              </button>
              <span className="details-bytes">{formatShape(shape)}</span>
            </li>
          );
        }}
      />
    </>
  );
}
