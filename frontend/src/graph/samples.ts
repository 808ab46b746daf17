/** Networks in the shape of known architectures, for tests. */
import type { Block } from "./blocks";
import { buildNetwork, type LayerSource, type Network, type NetworkSource } from "./network";

export interface Sample {
  network: Network;
  blocks: Block[];
}

/** Builds layers one after another; each has the name of its place. */
class Builder {
  readonly layers: LayerSource[] = [];
  readonly blocks: Block[] = [];
  readonly source = "image";

  add(op: string, inputs: readonly string[], size: number): string {
    const name = `${op.toLowerCase()}${this.layers.length}`;
    this.layers.push({ name, op_type: op, inputs: [...inputs], outputs: [name], output_shape: [1, 8, size, size], macs: 100, parameters: 10, weight_bytes: 40, activation_bytes: size * size * 32 });
    return name;
  }

  chain(ops: readonly string[], input: string, size: number): string {
    return ops.reduce((tensor, op) => this.add(op, [tensor], size), input);
  }

  /** All layers that `make` adds are one block. */
  block(kind: string, name: string, parent: string | null, make: () => string): string {
    const start = this.layers.length;
    const index = this.blocks.push({ name, kind, layers: [], parent }) - 1;
    const output = make();
    this.blocks[index] = { name, kind, layers: this.layers.slice(start).map((layer) => layer.name), parent };
    return output;
  }

  done(output: string): Sample {
    const tensors = this.layers.map(({ name }) => ({ name, shape: [1, 8], size_bytes: 1000 }));
    const source: NetworkSource = { layers: this.layers, tensors, inputs: [{ name: this.source, shape: [1, 3], size_bytes: 1000 }], outputs: [{ name: output, shape: [1, 10], size_bytes: 40 }] };
    return { network: buildNetwork(source), blocks: this.blocks };
  }
}

export function residualNet(stages: readonly number[]): Sample {
  const net = new Builder();
  let tensor = net.chain(["Conv", "Relu", "MaxPool"], net.source, 56);
  let number = 0;
  stages.forEach((count, stage) => {
    const size = 56 >> stage;
    tensor = net.block("stage", `stage${stage + 1}`, null, () => {
      for (let i = 0; i < count; i += 1) {
        const input = tensor;
        number += 1;
        tensor = net.block("residual", `residual${number}`, `stage${stage + 1}`, () => {
          const main = net.chain(["Conv", "Relu", "Conv", "Relu", "Conv"], input, size);
          const side = i === 0 ? net.add("Conv", [input], size) : input;
          return net.chain(["Relu"], net.add("Add", [main, side], size), size);
        });
      }
      return tensor;
    });
  });
  return net.done(net.chain(["GlobalAveragePool", "Flatten", "Gemm"], tensor, 1));
}

/** As exported: each Concat takes all earlier outputs of its stage. */
export function denseNet(stages: readonly number[]): Sample {
  const net = new Builder();
  let tensor = net.chain(["Conv", "Relu", "MaxPool"], net.source, 56);
  let number = 0;
  stages.forEach((count, stage) => {
    const size = 56 >> stage;
    const input = tensor;
    tensor = net.block("stage", `stage${stage + 1}`, null, () => {
      const outputs = [input];
      for (let i = 0; i < count; i += 1) {
        number += 1;
        outputs.push(
          net.block("dense", `dense${number}`, `stage${stage + 1}`, () => net.chain(["BatchNormalization", "Relu", "Conv", "BatchNormalization", "Relu", "Conv"], net.add("Concat", outputs, size), size)),
        );
      }
      return net.add("Concat", outputs, size);
    });
    tensor = net.chain(["BatchNormalization", "Relu", "Conv", "AveragePool"], tensor, size >> 1);
  });
  return net.done(net.add("Gemm", [tensor], 1));
}

export function inceptionNet(modules: number): Sample {
  const net = new Builder();
  let tensor = net.chain(["Conv", "Relu", "MaxPool", "Conv"], net.source, 28);
  for (let i = 1; i <= modules; i += 1) {
    const input = tensor;
    tensor = net.block("inception", `inception${i}`, null, () =>
      net.add("Concat", [net.chain(["Conv"], input, 28), net.chain(["Conv", "Conv"], input, 28), net.chain(["Conv", "Conv", "Conv"], input, 28), net.chain(["MaxPool", "Conv"], input, 28)], 28),
    );
  }
  return net.done(net.add("Gemm", [tensor], 1));
}

/** Branches side by side, all in one block. */
export function oneBlock(branches: number, depth: number): Sample {
  const net = new Builder();
  const chain = Array.from({ length: depth }, () => "Conv");
  return net.done(net.block("inception", "all", null, () => net.add("Concat", Array.from({ length: branches }, () => net.chain(chain, net.source, 28)), 28)));
}

export function plainNet(stages: readonly number[]): Sample {
  const net = new Builder();
  let tensor = net.source;
  stages.forEach((count, stage) => {
    tensor = net.chain(Array.from({ length: count }, (_, i) => (i % 2 === 0 ? "Conv" : "Relu")), tensor, 224 >> stage);
  });
  return net.done(tensor);
}

/** A source of numbers from 0 to 1 that a seed decides. */
export function chance(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return state / 2 ** 32;
  };
}

/** Anything: layers that take one or a few of the latest outputs, and blocks that hold runs of them, whether or not that makes sense. */
export function anyNet(seed: number, size: number): Sample {
  const random = chance(seed);
  const pick = (below: number) => Math.floor(random() * below);
  const net = new Builder();
  const outputs = [net.source];
  while (net.layers.length < size) {
    const inputs = Array.from({ length: random() < 0.25 ? 2 + pick(2) : 1 }, () => outputs[Math.max(0, outputs.length - 1 - pick(random() < 0.1 ? 30 : 3))] ?? net.source);
    outputs.push(net.add(inputs.length > 1 ? "Add" : "Conv", [...new Set(inputs)], 32));
  }
  const run = (start: number, length: number) => net.layers.slice(start, start + length).map(({ name }) => name);
  for (let start = pick(5), i = 0; start < size - 3; i += 1) {
    const length = 2 + pick(14);
    net.blocks.push({ name: `outer${i}`, kind: "stage", layers: run(start, length), parent: null });
    for (let inner = start, k = 0; inner < start + length - 2; inner += 2 + pick(3), k += 1) {
      net.blocks.push({ name: `inner${i}-${k}`, kind: "residual", layers: run(inner, 2 + pick(3)), parent: `outer${i}` });
    }
    start += length + pick(4);
  }
  return net.done(outputs.at(-1) ?? net.source);
}

/** The same network, and how often anything of it has been looked at: work is counted by it, whatever the machine. */
export function counted(network: Network): { network: Network; looks: () => number } {
  let looks = 0;
  const watched = <T extends object>(list: T): T =>
    new Proxy(list, {
      get: (target, key) => {
        if (typeof key === "string") looks += 1;
        return Reflect.get(target, key) as unknown;
      },
    });
  const { nodes, edges, outgoing, incoming } = network;
  return { network: { ...network, nodes: watched(nodes), edges: watched(edges), outgoing: watched(outgoing), incoming: watched(incoming) }, looks: () => looks };
}
