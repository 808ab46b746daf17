import { describe, expect, it } from "vitest";
import { EMPTY_REST } from "@/plan/content";
import { content } from "@/plan/samples";
import { takenOver } from "./applied";
import { blameOf, blamesDevice, blamesEdge } from "./blame";
import { chosenDevices, limitCount, limitsOf, paretoOf, pinGroups, pinsOf, plannable, questionOf, typedNumber, withoutPins, withReplicas } from "./question";
import { FIRST_FORM } from "./questionForm";
import { deviceSample, planSample, predictionSample } from "./samples";
import { known } from "./usePrediction";
import { besidesEstimates, bottleneckWords, boundWords, capitalised, changeWords, contiguousWords, estimatedOf, formatValue, gapWords, obstacleFigures, resourceLabel, resourceWords, sharedIsBetter, sortedObstacles, unpredictable } from "./words";

const plain = (text: string | null) => text?.replaceAll("\u202f", " ") ?? null;

describe("a question", () => {
  it("asks for whole layers, uncompressed, without limits where nothing was typed", () => {
    expect(questionOf(FIRST_FORM, ["a", "b"])).toEqual({
      devices: ["a", "b"],
      objective: "throughput",
      seconds: 60,
      limits: {
        min_throughput_per_s: null, max_latency_s: null, max_energy_j: null, max_total_energy_j: null, memory_bytes: {}, pins: {}, excluded: [],
        max_devices: null, input_on: null, strategies: ["layers"], contiguous: false, codecs: ["none"], max_change: 0,
      },
    });
    expect(limitCount(FIRST_FORM, ["a"])).toBe(0);
  });
  it("turns megabytes, milliseconds and per cent into bytes, seconds and shares", () => {
    const form = { ...FIRST_FORM, memoryMb: { a: 256.5, b: null }, maxLatencyMs: 40, maxChangePercent: 2 };
    const limits = limitsOf(form, ["a", "b"]);
    expect([limits.memory_bytes, limits.max_latency_s, limits.max_change]).toEqual([{ a: 256_500_000 }, 0.04, 0.02]);
    expect(limits.codecs).toContain("int8+zstd");
    expect(limits.codecs).not.toContain("auto");
  });
  it("allows only codecs without loss where answers may not change", () => {
    expect(limitsOf({ ...FIRST_FORM, codecs: true }, []).codecs).toEqual(["none", "lz4", "zstd", "rle"]);
  });
  it("leaves out devices, and what was typed about them", () => {
    const form = { ...FIRST_FORM, without: ["b"], memoryMb: { a: 10, b: 20 } };
    expect(chosenDevices(form, ["a", "b", "c"])).toEqual(["a", "c"]);
    expect(limitsOf(form, ["a", "b", "c"]).memory_bytes).toEqual({ a: 10_000_000 });
    expect(paretoOf(form, ["a", "b", "c"]).devices).toEqual(["a", "c"]);
  });
  it("for one run of layers per device lets the other strategies rest, and replicas end it", () => {
    const form = { ...FIRST_FORM, contiguous: true, strategies: ["spatial" as const] };
    expect([limitsOf(form, []).contiguous, limitsOf(form, []).strategies, limitCount(form, [])]).toEqual([true, ["layers"], 1]);
    expect(limitsOf({ ...form, contiguous: false }, []).strategies).toEqual(["layers", "spatial"]);
    const wider = limitsOf(withReplicas(withReplicas(form)), []);
    expect([wider.contiguous, wider.strategies]).toEqual([false, ["layers", "spatial", "replicas"]]);
  });
  it("offers no device that cannot run the agent", () => {
    expect(plannable([{ name: "a", state: "ready" }, { name: "b", state: "cannot" }, { name: "c", state: "unreachable" }])).toEqual(["a", "c"]);
  });
  it("takes for no limit what is no number above zero", () => {
    expect(["", "abc", 0, -3, "12.5", 7].map(typedNumber)).toEqual([null, null, null, null, 12.5, 7]);
  });
});

describe("pins", () => {
  it("hold layers where they are; what lies on no one device cannot be held", () => {
    const plan = content({ conv1: "a", conv2: "part", conv3: "group" });
    const named = { ...plan, rest: { ...EMPTY_REST, resources: { part: { device: "b" } }, replicas: { group: { places: ["a", "b"] } } } } as unknown as typeof plan;
    expect(pinsOf(named, ["conv1", "conv2", "conv3", "gone"])).toEqual({ pins: { conv1: "a", conv2: "b" }, skipped: ["conv3", "gone"] });
  });
  it("are listed and taken away by device", () => {
    const pins = { x: "a", y: "b", z: "a" };
    expect(pinGroups(pins)).toEqual([["a", ["x", "z"]], ["b", ["y"]]]);
    expect(withoutPins(pins, "a")).toEqual({ y: "b" });
  });
});

describe("words", () => {
  it("tell figures in the unit of what is to be best", () => {
    const values = [formatValue("throughput", 212.4), formatValue("latency", 0.0047), formatValue("max_energy", 0.067), formatValue("max_memory", 91_300_000)];
    expect(values.map(plain)).toEqual(["212 frames/s", "4.70 ms", "67.0 mJ per frame", "91.3 MB"]);
  });
  it("tell how good an answer is", () => {
    expect(gapWords({ value: 100, bound: 100, proved: true, gap: 0.00001 })).toBe("proved optimal");
    expect(plain(gapWords({ value: 100, bound: 103, proved: false, gap: 0.03 }))).toBe("at most 3 % better is possible");
  });
  it("take a bound out of all reach for none", () => {
    const nothing = { objective: "throughput" as const, value: 100, bound: 1e8, proved: false, gap: 1e6 - 1 };
    expect([gapWords(nothing), boundWords(nothing)]).toEqual(["not known how much better is possible", null]);
    expect(gapWords({ ...nothing, value: 0.2, bound: 2e-7, gap: 0.999999 })).toBe("not known how much better is possible");
    expect(gapWords({ ...nothing, gap: Infinity, bound: Infinity })).toBe("not known how much better is possible");
  });
  it("tell what no plan beats, and what none with one run of layers per device does", () => {
    const answer = { objective: "throughput" as const, value: 100, bound: 103, proved: false, gap: 0.03, contiguous_bound: 96, space: "any placement" };
    expect([boundWords(answer), boundWords({ ...answer, proved: true }), boundWords({ ...answer, objective: "latency", value: 0.1, bound: 0.09 })].map(plain)).toEqual(["No plan exceeds 103 frames/s.", null, "No plan gets below 90.0 ms."]);
    const told = [answer, { ...answer, contiguous_bound: 100 }, { ...answer, contiguous_bound: 102 }, { ...answer, contiguous_bound: null }, { ...answer, space: "one run of layers per device" }];
    expect(told.map(contiguousWords).map(plain)).toEqual([
      "With one run of layers per device none beats 96.0 frames/s; this plan is 4 % better.", "With one run of layers per device none beats 100 frames/s; this plan does as well.",
      "With one run of layers per device none beats 102 frames/s.", null, null,
    ]);
    const quick = { ...answer, objective: "latency" as const, value: 0.08, bound: 0.08, contiguous_bound: 0.1 };
    expect(plain(contiguousWords(quick))).toBe("With one run of layers per device none gets below 100 ms; this plan is 20 % better.");
  });
  it("tell large figures with a prefix", () => {
    expect([formatValue("throughput", 1e6), formatValue("throughput", 9999)].map(plain)).toEqual(["1.00 M frames/s", "9999 frames/s"]);
  });
  it("name every kind of resource", () => {
    const resources = [
      { kind: "cores", name: "board-1" }, { kind: "lane", name: "board-1/gpu" }, { kind: "link", name: "board-1->board-2" },
      { kind: "interface", name: "my board in" }, { kind: "interface", name: "board-1 out" },
    ] as const;
    expect(resources.map(resourceWords)).toEqual(["the processor of board-1", "the stages of board-1 on gpu", "the link board-1 → board-2", "what my board receives", "what board-1 sends"]);
    expect(resources.map(resourceLabel)).toEqual(["board-1 processor", "board-1 gpu", "board-1 → board-2", "my board in", "board-1 out"]);
    expect(resources.map((resource) => bottleneckWords({ ...resource, busy_s: 0.002 })).map(plain)).toEqual([
      "The processor of board-1 is busy all the time: 2.00 ms for each frame.", "The stages of board-1 on gpu take turns, 2.00 ms for each frame: one of them always computes.",
      "The link board-1 → board-2 is busy all the time: 2.00 ms for each frame.", "What my board receives fills its network interface: 2.00 ms for each frame.",
      "What board-1 sends fills its network interface: 2.00 ms for each frame.",
    ]);
    expect(capitalised("the link")).toBe("The link");
  });
  it("tell by how much a limit is missed, in its unit", () => {
    const told = [
      obstacleFigures({ limit: "memory", allowed: 200e6, needed: 310e6 }),
      obstacleFigures({ limit: "min_throughput", allowed: 500, needed: 212 }),
      obstacleFigures({ limit: "max_latency", allowed: 0.01, needed: null }),
      obstacleFigures({ limit: "pins", allowed: null, needed: null }),
    ];
    expect(told.map(plain)).toEqual(["allowed 200 MB, at least 310 MB needed", "asked for 500 frames/s, at most 212 frames/s possible", "allowed 10.0 ms", null]);
  });
  it("put limits first whose loosening helps, and none apart where none does", () => {
    const [helping, idle, pin] = [{ limit: "memory_bytes", subject: "a", allowed: 1, needed: 2, text: "" }, { limit: "memory_bytes", subject: "b", allowed: 1, needed: null, text: "" }, { limit: "pins", subject: "x to a", allowed: null, needed: null, text: "" }];
    expect(sortedObstacles([idle, helping, pin])).toEqual({ helping: [helping, pin], others: [idle] });
    expect(sortedObstacles([idle])).toEqual({ helping: [idle], others: [] });
  });
  it("leave out of the notes what stands beside the buttons that measure, and what is said twice", () => {
    const notes = ["Of 'a', compute is estimated, not measured: profile it first.", "Stopped early", "Stopped early", "not every link was measured (`partition-studio device links` measures them)",
      "a: what carrying costs there was not measured; measure it (`device profile NAME 5`)", "the profile is older, so it is not used; times are estimated until it is profiled again (`device profile NAME 5`)"];
    expect(besidesEstimates(notes)).toEqual(["Stopped early"]);
  });
  it("say that replicas do better only of frames per second, and only where they do", () => {
    const answer = { objective: "throughput" as const, prediction: predictionSample };
    const shared = (throughput: number) => [{ prediction: { ...predictionSample, throughput_per_s: throughput, devices: [deviceSample, { ...deviceSample, device: "b" }] } }];
    expect([sharedIsBetter(answer, shared(150)), sharedIsBetter(answer, shared(90)), sharedIsBetter({ ...answer, objective: "latency" }, shared(150))]).toEqual([true, false, false]);
    expect(sharedIsBetter(answer, [{ prediction: { ...predictionSample, throughput_per_s: 150 } }])).toBe(false);
  });
  it("tell why nothing can be predicted: layers on no device, or what is wrong; too little memory is itself predicted", () => {
    const problem = (code: string, severity: "error" | "warning") => ({ code, severity, message: "It is so.", next_step: "", layer: null, device: null });
    expect(unpredictable(2, [])).toMatch(/^2 layers of the plan are on no device/u);
    expect(unpredictable(0, [problem("tight_memory", "warning"), problem("over_memory", "error")])).toBeNull();
    expect(unpredictable(0, [problem("bad_shard", "error")])).toBe("Nothing can be predicted of this plan: It is so.");
  });
  it("compare with what was before, and keep silent where nothing changed", () => {
    expect([changeWords(100, 112), changeWords(100, 97), changeWords(100, 100.001), changeWords(null, 3), changeWords(0, 3)].map(plain)).toEqual(["+12 %", "−3 %", null, null, null]);
  });
  it("list devices of which something was not measured", () => {
    const guessed = { ...deviceSample, estimated: ["compute", "power"] };
    const devices = [deviceSample, { ...guessed, device: "b" }, { ...deviceSample, device: "c", estimated: ["power"] }, { ...guessed, device: "d" }];
    expect(estimatedOf({ devices })).toEqual([{ what: ["compute", "power"], devices: ["b", "d"] }, { what: ["power"], devices: ["c"] }]);
  });
});

describe("what limits a plan", () => {
  it("is marked on the layers of a device, or on the edges of a link", () => {
    const cores = blameOf({ kind: "cores", name: "a" });
    expect([blamesDevice(cores, ["a"]), blamesDevice(cores, ["b"]), blamesEdge(cores, ["a"], ["b"])]).toEqual([true, false, false]);
    const link = blameOf({ kind: "link", name: "a->b" });
    expect([blamesEdge(link, ["a"], ["b"]), blamesEdge(link, ["b"], ["a"]), blamesDevice(link, ["a"])]).toEqual([true, false, false]);
    expect(blamesDevice(blameOf({ kind: "lane", name: "a/gpu" }), ["a"])).toBe(true);
  });
  it("of an interface is all that comes in, or goes out, but nothing that stays", () => {
    const inwards = blameOf({ kind: "interface", name: "a in" });
    expect([blamesEdge(inwards, ["studio"], ["a"]), blamesEdge(inwards, ["a"], ["a"]), blamesEdge(inwards, ["a"], ["b"])]).toEqual([true, false, false]);
    const outwards = blameOf({ kind: "interface", name: "a out" });
    expect([blamesEdge(outwards, ["a"], ["b"]), blamesEdge(outwards, ["b"], ["a"])]).toEqual([true, false]);
    expect(blamesEdge(null, ["a"], ["b"])).toBe(false);
  });
});

describe("a plan that the planner made", () => {
  it("keeps the person's name, notes and blocks", () => {
    const mine = { ...content({ conv1: "a" }), rest: { ...EMPTY_REST, name: "Mine", notes: "why", blocks: { front: ["conv1"] }, micro_batch: 4 } };
    const taken = takenOver(mine, { ...planSample({ conv1: "b" }), name: "searched", codecs: [{ producer: "*", consumer: "*", tensors: [], codec: "lz4", low: 0, high: null }] });
    expect([taken.placement, taken.rest.name, taken.rest.notes, taken.rest.blocks]).toEqual([{ conv1: "b" }, "Mine", "why", { front: ["conv1"] }]);
    expect([taken.rest.codecs.length, taken.rest.micro_batch]).toEqual([1, 1]);
  });
});

describe("a prediction", () => {
  const first = content({ conv1: "a" });
  const second = content({ conv1: "b" });
  const answer = (throughput: number) => ({ prediction: { ...predictionSample, throughput_per_s: throughput }, gantt: null, next_move: null });
  const nothing = { prediction: null, of: null, before: null, more: null, content: null, problem: null };
  it("stands beside the one from before the edit, through every later answer about the same plan", () => {
    const one = known(nothing, first, answer(100), false);
    const two = known(one, second, answer(120), false);
    const three = known(two, second, answer(120), true);
    expect([one.before, two.before?.throughput_per_s, three.before?.throughput_per_s]).toEqual([null, 100, 100]);
  });
  it("drops the frames and the next change of the plan before the edit", () => {
    const one = known(nothing, first, answer(100), true);
    expect(one.more).not.toBeNull();
    expect(known(one, second, answer(120), false).more).toBeNull();
    expect(known(one, first, answer(100), false).more).toBe(one.more);
  });
});
