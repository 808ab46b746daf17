import { describe, expect, it } from "vitest";
import { parseQuery, type Subject } from "./query";
import { examples, suggest, vocabularyOf } from "./suggest";

const layer = (change: Partial<Subject>): Subject => ({
  name: "conv1", kind: "Conv", shape: [1, 64, 112, 112], macs: 118e6, params: 9408, weights: 37_632, bytes: 3_211_264, seconds: null, joules: null,
  devices: [], blocks: [], attributes: {}, warning: null, divided: false, replicated: false, ...change,
});

const LAYERS: readonly Subject[] = [
  layer({ devices: ["pi-2"], attributes: { strides: "2, 2", kernel_shape: "7, 7", group: "1" }, seconds: 0.0042 }),
  layer({ name: "relu1", kind: "Relu", macs: 0, params: 0, weights: 0, devices: ["pi-20"], blocks: ["residual1", "layer3"], seconds: 0.0005 }),
  layer({ name: "onnx::Conv_9", shape: [1, 2048, 7, 7], bytes: 401_408, blocks: ["residual11", "layer30"], attributes: { strides: "1, 1" }, warning: "too large" }),
  layer({ name: "the last one", kind: "Gemm", shape: [1, 10], bytes: 40, macs: 20_480, devices: ["nano", "pi-2"], divided: true, joules: 0.002 }),
];

function found(text: string): number[] {
  const query = parseQuery(text);
  if (query.problem) throw new Error(query.problem.message);
  return LAYERS.flatMap((subject, i) => (query.matches(subject) ? [i] : []));
}

describe("a search", () => {
  it.each([
    ["conv", [0, 2]],
    ["CONV pi-2", [0]],
    ["unplaced conv", [2]],
    ["", [0, 1, 2, 3]],
    ["kind:conv", [0, 2]],
    ["kind:relu,gemm", [1, 3]],
    ["-kind:conv", [1, 3]],
    ["not kind:conv not gemm", [1]],
    ['"the last one"', [3]],
    ['name:"last one"', [3]],
    ["name=conv1", [0]],
    ["name:conv", [0, 2]],
    ["onnx::conv", [2]],
    ["name!=conv1", [1, 2, 3]],
  ] as const)("%j matches words, kinds and names", (text, wanted) => expect(found(text)).toEqual(wanted));

  it.each([
    ["device:pi-2", [0, 3]],
    ["device:pi", [0, 1, 3]],
    ["device:none", [2]],
    ["on:nano", [3]],
    ["block:layer3", [1]],
    ["block:residual1", [1]],
    ["block:residual", [1, 2]],
    ["is:divided", [3]],
    ["is:wrong", [2]],
    ["is:unplaced", [2]],
  ] as const)("%j: a number at the end is meant whole", (text, wanted) => expect(found(text)).toEqual(wanted));

  it.each([
    ["bytes > 1 MB", [0, 1]],
    ["bytes>1MB", [0, 1]],
    ["bytes:>1MB", [0, 1]],
    ["bytes <= 40 B", [3]],
    ["bytes < 400 KiB", [2, 3]],
    ["bytes = 3.2 MB", [0, 1]],
    ["bytes = 3.3 MB", []],
    ["macs > 10M", [0, 2]],
    ["macs > 10 MMACs", [0, 2]],
    ["macs > 10 M kind:conv bytes > 1 MB", [0]],
    ["params > 1_000 conv", [0, 2]],
    ["macs = 0", [1]],
    ["seconds > 2 ms", [0]],
    ["seconds < 2 ms", [1]],
    ["seconds:none", [2, 3]],
    ["-seconds:none", [0, 1]],
    ["energy < 5 mJ", [3]],
    ["not bytes > 1 MB", [2, 3]],
  ] as const)("%j compares numbers with units; what is not known is in no comparison", (text, wanted) => expect(found(text)).toEqual(wanted));

  it.each([
    ["shape:7x7", [2]],
    ["shape:2048×7×7", [2]],
    ["shape:64x?x112", [0, 1]],
    ["shape:10", [3]],
    ["attr:stride=2", [0]],
    ["attr:strides=2,2", [0]],
    ["attr:strides=2,1", []],
    ["attr:group", [0]],
    ["attr:kernel=7 conv", [0]],
  ] as const)("%j looks into shapes and attributes", (text, wanted) => expect(found(text)).toEqual(wanted));

  it.each([
    ["foo:bar", /no field “foo”.*kind.*quotes/, [0, 3]],
    ["conv bytes >", /number after “bytes >”, as bytes > 1 MB/, [5, 12]],
    ["seconds > 2 MB", /“MB” is no unit of seconds: write s, ms/, [10, 14]],
    ["macs > 10x", /“x” is no unit of macs/, [7, 10]],
    ["bytes > 1 KG", /“KG” is no unit of bytes: write B, KB/, [8, 12]],
    ["macs > 1,000", /without commas/, [7, 12]],
    ["> 3", /Write before “>”/, [0, 1]],
    ['name:"last', /quote has no end/, [5, 10]],
    ["kind:", /Write after “kind:” what the layer does/, [0, 5]],
    ["kind > 3", /“kind” is no number/, [0, 7]],
    ["conv not", /Write after “not”/, [5, 8]],
    ["shape:7xz", /shape as 7x7/, [6, 9]],
    ["is:happy", /unplaced, divided, replicated, wrong; not “happy”/, [3, 8]],
    ["attr:strides=", /Write after “=” what strides shall be/, [0, 13]],
  ] as const)("%j is refused with what is wrong, and where", (text, message, [start, end]) => {
    const { problem } = parseQuery(text);
    expect(problem?.message).toMatch(message);
    expect([problem?.start, problem?.end]).toEqual([start, end]);
  });

  it("never throws, whatever is typed", () => {
    const pieces = ["kind:", "bytes", " > ", '"', "-", "not ", "1", ".5", "MB", "a", ",", ":", "x", "shape:", "attr:", "=", " ", "is:", "µs", "::", "<", "!"];
    let seed = 7;
    const next = () => (seed = (seed * 1_103_515_245 + 12_345) % 2 ** 31);
    for (let i = 0; i < 3000; i += 1) {
      const text = Array.from({ length: (next() % 9) + 1 }, () => pieces[next() % pieces.length]).join("");
      const query = parseQuery(text);
      if (query.problem) {
        expect(query.problem.start, text).toBeLessThan(query.problem.end);
        expect(query.problem.end, text).toBeLessThanOrEqual(text.length);
      } else LAYERS.forEach((subject) => query.matches(subject));
    }
  });
});

describe("suggestions", () => {
  const vocabulary = vocabularyOf(LAYERS, ["pi-2", "spare board"]);
  const texts = (text: string, caret = text.length) => suggest(text, caret, vocabulary).map((one) => text.slice(0, one.from) + one.text + text.slice(one.to));

  it("go on with fields, kinds, devices and blocks that occur", () => {
    expect(texts("ki")).toEqual(["kind:"]);
    expect(texts("by")).toEqual(["bytes > "]);
    expect(texts("conv")).toEqual(["kind:Conv"]);
    expect(texts("kind:g")).toEqual(["kind:Gemm"]);
    expect(texts("device:")).toEqual(["device:none", "device:pi-2", 'device:"spare board"', "device:pi-20", "device:nano"]);
    expect(texts("-block:resid")).toEqual(["-block:residual1", "-block:residual11"]);
    expect(texts("kind:Conv,re")).toEqual(["kind:Conv,Relu"]);
    expect(texts("is:un")).toEqual(["is:unplaced"]);
  });

  it("replace only the term at the caret", () => {
    expect(texts("ki macs > 3", 2)).toEqual(["kind: macs > 3"]);
    for (const number of ["macs > 3 ", "macs > 1", "bytes > 1 M", "bytes:>1 k"]) expect(texts(number)).toEqual([]);
    expect(texts('name:"a ki')).toEqual([]);
  });

  it("are themselves searches without a fault", () => {
    for (const text of [...texts("device:"), ...texts("kind:"), ...texts("is:"), ...texts("attr:"), ...examples(vocabulary).map((example) => example.text)]) expect(parseQuery(text).problem, text).toBeUndefined();
  });
});
