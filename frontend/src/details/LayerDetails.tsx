/** All about one layer: where it runs, what it costs, its neighbours, attributes and weights. */
import { Fragment } from "react";
import type { Model } from "@/api/types";
import { formatShape, plural } from "@/app/format";
import { own } from "@/app/own";
import { DeviceSign } from "@/devices/DeviceSign";
import { useMark } from "@/devices/marks";
import { selectNamed, useView } from "@/editor/view";
import { allBlocks, blocksOf } from "@/graph/blocks";
import { at, type Network } from "@/graph/network";
import { deviceOf } from "@/plan/content";
import { devicesOfLayer, divisionsOf, whereabouts } from "@/plan/divisions";
import { usePlan } from "@/plan/store";
import { DeviceCosts } from "./DeviceCosts";
import { Edges } from "./Edges";
import { Panel, SumPairs } from "./Panel";
import { ShardingDetails } from "./ShardingDetails";
import { TroubleList } from "./TroubleList";
import { Weights } from "./Weights";

export function LayerDetails({ model, network, node }: { model: Model; network: Network; node: number }) {
  const found = at(network.nodes, node);
  const { name, op, shape } = found;
  const layer = model.layers.find((candidate) => candidate.name === name);
  const byHand = usePlan(({ rest }) => rest.blocks);
  const division = usePlan(({ shards }) => divisionsOf(shards).get(name));
  const spelled = usePlan((content) => devicesOfLayer(content, name).join("\n"));
  const devices = spelled === "" ? [] : spelled.split("\n");
  if (!layer) return null;
  const blocks = blocksOf(allBlocks(model.blocks, byHand), name);
  const attributes = Object.entries(layer.attributes);
  return (
    <Panel label={`Layer ${name}`} title={op} name={name}>
      <TroubleList network={network} nodes={[node]} />
      <dl>
        <dt>Device</dt>
        <dd>
          <Where name={name} />
        </dd>
        {blocks.map((block) => (
          <Fragment key={block.name}>
            <dt>{block.kind === "stage" ? "Stage" : "Block"}</dt>
            <dd>
              <button type="button" className="link" title={`Select its ${plural(block.layers.length, "layer")}`} onClick={() => selectNamed(network, block.layers)}>
                {block.name}
              </button>
            </dd>
          </Fragment>
        ))}
        <dt>Output</dt>
        <dd>{formatShape(shape)}</dd>
        <SumPairs sums={found} />
      </dl>
      {division?.shardings.map((place) => <ShardingDetails key={place} place={place} />)}
      <DeviceCosts model={model.id} layers={[name]} devices={devices} />
      <Edges network={network} title="From" edges={at(network.incoming, node)} incoming />
      <Edges network={network} title="To" edges={at(network.outgoing, node)} incoming={false} />
      {attributes.length > 0 && (
        <>
          <h3>Attributes</h3>
          <dl>
            {attributes.map(([key, value]) => (
              <div key={key} className="details-pair">
                <dt>{key}</dt>
                <dd>{value}</dd>
              </div>
            ))}
          </dl>
        </>
      )}
      {layer.weight_bytes > 0 && <Weights key={name} model={model} layer={name} op={op} />}
    </Panel>
  );
}

/** What the plan does with it, and whether it runs elsewhere now. */
function Where({ name }: { name: string }) {
  const place = usePlan(({ placement }) => own(placement, name));
  const device = usePlan((content) => (place === undefined ? undefined : deviceOf(content, place)));
  const isDivided = usePlan(({ shards }) => divisionsOf(shards).has(name));
  const group = usePlan(({ rest }) => (place === undefined ? undefined : own(rest.replicas, place)));
  const where = usePlan((content) => whereabouts(content, name));
  const mark = useMark(device);
  const old = useView(({ deployed }) => (deployed !== null && whereabouts(deployed, name) !== where ? (divisionsOf(deployed.shards).has(name) ? "divided otherwise" : `on ${own(deployed.placement, name) ?? "no device"}`) : null));
  return (
    <>
      {isDivided ? (
        "divided, see below"
      ) : group ? (
        `frames shared by ${group.places.join(", ")}`
      ) : device === undefined ? (
        "none"
      ) : (
        <>
          <DeviceSign mark={mark} /> {place === device ? device : `${device} (${place})`}
        </>
      )}
      {old !== null && <small className="details-changed">changed since the last deploy: it runs {old}</small>}
    </>
  );
}
