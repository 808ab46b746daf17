/** All about the selected layer; its neighbours are links that jump. */
import { ActionIcon } from "@mantine/core";
import { IconX } from "@tabler/icons-react";
import { Fragment } from "react";
import type { Model } from "@/api/types";
import { formatBytes, formatCount, formatMacs, formatShape } from "@/app/format";
import { allBlocks, blocksOf } from "@/graph/blocks";
import { at, type Network } from "@/graph/network";
import { DeviceSign } from "@/devices/DeviceSign";
import { useMark } from "@/devices/marks";
import { codecLabel } from "@/plan/codecs";
import { deviceOf } from "@/plan/content";
import { devicesOfLayer, divisionsOf, placesOfNode } from "@/plan/divisions";
import { usePlan } from "@/plan/store";
import { ShardingDetails } from "./ShardingDetails";
import { cameraMan } from "./camera";
import { select, selectNamed, viewStore } from "./view";

function jump(node: number): void {
  select([node]);
  cameraMan.show(node);
}

function Neighbours({ network, node, incoming }: { network: Network; node: number; incoming: boolean }) {
  const list = at(incoming ? network.incoming : network.outgoing, node).map((edge) => at(network.edges, edge));
  if (list.length === 0) return <p className="details-none">none</p>;
  return (
    <ul className="details-links">
      {list.map((edge) => {
        const other = at(network.nodes, incoming ? edge.from : edge.to);
        return (
          <li key={edge.index}>
            {other.kind === "layer" ? (
              <button type="button" className="link" onClick={() => jump(other.index)} title={`Go to ${other.name}`}>
                {other.op} {other.name}
              </button>
            ) : (
              <span>
                {other.op} {other.name}
              </span>
            )}
            <Travels network={network} edge={edge.index} />
          </li>
        );
      })}
    </ul>
  );
}

/** An edge's bytes; where it crosses devices also how its tensors travel, to be changed. */
function Travels({ network, edge: index }: { network: Network; edge: number }) {
  const edge = at(network.edges, index);
  const [from, to] = [at(network.nodes, edge.from), at(network.nodes, edge.to)];
  const crosses = usePlan((content) => {
    const [makers, takers] = [from, to].map((node) => (node.kind === "layer" ? devicesOfLayer(content, node.name) : ["studio"])) as [readonly string[], readonly string[]];
    return takers.some((taker) => makers.some((maker) => maker !== taker));
  });
  const codec = usePlan((content) => codecLabel(content, placesOfNode(content, from), placesOfNode(content, to), edge.tensors));
  if (!crosses) return <span className="details-bytes">{formatBytes(edge.bytes)}</span>;
  return (
    <button type="button" className="link details-bytes" onClick={() => viewStore.setState({ link: index })} title="Choose how it travels">
      {formatBytes(edge.bytes)} · {codec === "" ? "as it is" : codec}
    </button>
  );
}

export function Details({ model, network, node }: { model: Model; network: Network; node: number }) {
  const { name, op, shape } = at(network.nodes, node);
  const layer = model.layers.find((candidate) => candidate.name === name);
  const place = usePlan(({ placement }) => placement[name]);
  const device = usePlan((content) => (place === undefined ? undefined : deviceOf(content, place)));
  const division = usePlan(({ shards }) => divisionsOf(shards).get(name));
  const group = usePlan(({ rest }) => (place === undefined ? undefined : rest.replicas[place]));
  const mark = useMark(device);
  const byHand = usePlan(({ rest }) => rest.blocks);
  const blocks = blocksOf(allBlocks(model.blocks, byHand), name);
  if (!layer) return null;
  const attributes = Object.entries(layer.attributes);
  return (
    <aside className="details" aria-label={`Layer ${name}`}>
      <header>
        <div>
          <h2>{op}</h2>
          <p className="details-name">{name}</p>
        </div>
        <ActionIcon variant="subtle" color="gray" size="sm" aria-label="Close" onClick={() => viewStore.setState({ detailsOpen: false })}>
          <IconX size={15} />
        </ActionIcon>
      </header>
      <dl>
        <dt>Device</dt>
        <dd>
          {division ? (
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
        </dd>
        {blocks.map((block) => (
          <Fragment key={block.name}>
            <dt>{block.kind === "stage" ? "Stage" : "Block"}</dt>
            <dd>
              <button type="button" className="link" title={`Select its ${block.layers.length} layers`} onClick={() => selectNamed(network, block.layers)}>
                {block.name}
              </button>
            </dd>
          </Fragment>
        ))}
        <dt>Output</dt>
        <dd>{formatShape(shape)}</dd>
        <dt>Work</dt>
        <dd>{formatMacs(layer.macs)}</dd>
        <dt>Parameters</dt>
        <dd>{formatCount(layer.parameters)}</dd>
        <dt>Weights</dt>
        <dd>{formatBytes(layer.weight_bytes)}</dd>
        <dt>Activations</dt>
        <dd>{formatBytes(layer.activation_bytes)}</dd>
      </dl>
      {division?.shardings.map((place) => <ShardingDetails key={place} place={place} />)}
      <h3>From</h3>
      <Neighbours network={network} node={node} incoming />
      <h3>To</h3>
      <Neighbours network={network} node={node} incoming={false} />
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
    </aside>
  );
}
