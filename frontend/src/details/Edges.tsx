/** What comes in and what goes out: neighbours as links that jump, with bytes, and how they travel. */
import { formatBytes, formatShape, formatWhole } from "@/app/format";
import { at, type Network } from "@/graph/network";
import { viewStore } from "@/editor/view";
import { codecLabel } from "@/plan/codecs";
import { devicesOfLayer, placesOfNode } from "@/plan/divisions";
import { usePlan } from "@/plan/store";
import { jump } from "./Panel";
import { ShortList } from "./ShortList";

export function Edges({ network, title, edges, incoming }: { network: Network; title: string; edges: readonly number[]; incoming: boolean }) {
  return (
    <>
      <h3>{edges.length > 3 ? `${title} (${formatWhole(edges.length)})` : title}</h3>
      {edges.length === 0 && <p className="details-none">none</p>}
      <ShortList
        className="details-links"
        items={edges}
        draw={(index) => {
          const edge = at(network.edges, index);
          const other = at(network.nodes, incoming ? edge.from : edge.to);
          const { shape } = at(network.nodes, edge.from);
          return (
            <li key={index}>
              {other.kind === "layer" ? (
                <button type="button" className="link" onClick={() => jump(other.index)} title={`Go to ${other.name}`}>
                  {other.op} {other.name}
                </button>
              ) : (
                <span>
                  {other.op} {other.name}
                </span>
              )}
              <span className="details-travels">
                <small>{formatShape(shape)}</small>
                <Travels network={network} edge={index} />
              </span>
            </li>
          );
        }}
      />
    </>
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
