/** The network as the editor sees it: layers between its inputs and outputs, joined by edges that carry tensors. */

export interface TensorSource {
  name: string;
  shape: readonly number[];
  size_bytes: number;
}

export interface LayerSource {
  name: string;
  op_type: string;
  inputs: readonly string[];
  outputs: readonly string[];
  output_shape: readonly number[];
  macs: number;
  parameters: number;
  weight_bytes: number;
  activation_bytes: number;
}

export interface NetworkSource {
  layers: readonly LayerSource[];
  tensors: readonly TensorSource[];
  inputs: readonly TensorSource[];
  outputs: readonly TensorSource[];
}

export type NodeKind = "input" | "layer" | "output";

export interface NetworkNode {
  index: number;
  kind: NodeKind;
  /** The layer's name, or the tensor's for an end of the network. */
  name: string;
  op: string;
  shape: readonly number[];
  macs: number;
  parameters: number;
  weightBytes: number;
  activationBytes: number;
}

/** All tensors that one node hands to another. */
export interface NetworkEdge {
  index: number;
  from: number;
  to: number;
  tensors: readonly string[];
  bytes: number;
}

export interface Network {
  /** In topological order. */
  nodes: readonly NetworkNode[];
  edges: readonly NetworkEdge[];
  /** Edge indices by node. */
  outgoing: readonly (readonly number[])[];
  incoming: readonly (readonly number[])[];
  layerIndex: ReadonlyMap<string, number>;
  layerCount: number;
}

/** Return `items[index]`; throws RangeError outside it, so that callers need no guard of their own. */
export function at<T>(items: ArrayLike<T>, index: number): T {
  const item = items[index];
  if (item === undefined) throw new RangeError(`index ${index} outside ${items.length} items`);
  return item;
}

/** Build the network; edges point forward because the layers are given in topological order. */
export function buildNetwork(source: NetworkSource): Network {
  const nodes: NetworkNode[] = [];
  const producer = new Map<string, number>();
  const layerIndex = new Map<string, number>();
  const bytes = new Map(source.tensors.map((tensor) => [tensor.name, tensor.size_bytes]));
  const end = (kind: NodeKind, tensor: TensorSource) => {
    bytes.set(tensor.name, tensor.size_bytes);
    nodes.push({
      index: nodes.length,
      kind,
      name: tensor.name,
      op: kind === "input" ? "Input" : "Output",
      shape: tensor.shape,
      macs: 0,
      parameters: 0,
      weightBytes: 0,
      activationBytes: 0,
    });
  };

  for (const tensor of source.inputs) {
    producer.set(tensor.name, nodes.length);
    end("input", tensor);
  }
  for (const layer of source.layers) {
    layerIndex.set(layer.name, nodes.length);
    for (const output of layer.outputs) producer.set(output, nodes.length);
    nodes.push({
      index: nodes.length,
      kind: "layer",
      name: layer.name,
      op: layer.op_type,
      shape: layer.output_shape,
      macs: layer.macs,
      parameters: layer.parameters,
      weightBytes: layer.weight_bytes,
      activationBytes: layer.activation_bytes,
    });
  }
  const consumed = new Map<number, readonly string[]>();
  for (const layer of source.layers) consumed.set(layerIndex.get(layer.name) ?? -1, layer.inputs);
  for (const tensor of source.outputs) {
    consumed.set(nodes.length, [tensor.name]);
    end("output", tensor);
  }
  const edges = joinEdges(consumed, producer, bytes);
  const outgoing: number[][] = nodes.map(() => []);
  const incoming: number[][] = nodes.map(() => []);
  for (const edge of edges) {
    at(outgoing, edge.from).push(edge.index);
    at(incoming, edge.to).push(edge.index);
  }
  return { nodes, edges, outgoing, incoming, layerIndex, layerCount: source.layers.length };
}

function joinEdges(
  consumed: ReadonlyMap<number, readonly string[]>,
  producer: ReadonlyMap<string, number>,
  bytes: ReadonlyMap<string, number>,
): NetworkEdge[] {
  const edges: NetworkEdge[] = [];
  for (const [to, tensors] of consumed) {
    const bySource = new Map<number, string[]>();
    for (const tensor of new Set(tensors)) {
      const from = producer.get(tensor);
      if (from === undefined || from >= to) continue;
      const list = bySource.get(from);
      if (list) list.push(tensor);
      else bySource.set(from, [tensor]);
    }
    for (const [from, list] of bySource) {
      const total = list.reduce((sum, tensor) => sum + (bytes.get(tensor) ?? 0), 0);
      edges.push({ index: edges.length, from, to, tensors: list, bytes: total });
    }
  }
  return edges;
}
