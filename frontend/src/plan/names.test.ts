/** Layers, devices and parts of them may be called as what every object has: nothing is looked up where nobody put it. */
import { describe, expect, it } from "vitest";
import { buildNetwork } from "@/graph/network";
import { buildFolds } from "@/graph/folds";
import { pipelineNow } from "@/live/pipeline";
import { pinsOf } from "@/planner/question";
import { rowSource, rowsOf } from "@/table/rows";
import { boundariesOf } from "./boundary";
import { differences, takeFrom } from "./differences";
import { conflictSide } from "./conflictWords";
import { contentOf, EMPTY, planDocument, sameContent, type Content } from "./content";
import { apply, assign, invert, replaceBy } from "./delta";
import { countDifferences, devicesOfLayer, placesOfLayer, whereabouts } from "./divisions";
import { crossings, estimate } from "./estimate";
import { fitTo } from "./fitting";
import { merge } from "./merge";
import { replaceDevice } from "./replaceDevice";
import { replicate } from "./replicas";
import { content } from "./samples";
import { sharesOfLayers } from "./shares";

const NAMES = ["constructor", "__proto__", "toString", "hasOwnProperty", "valueOf"];

const tensor = (name: string) => ({ name, shape: [1, 8], size_bytes: 1000 });
const layers = NAMES.map((name, i) => ({
  name, op_type: "Conv", inputs: [i === 0 ? "image" : `t${i - 1}`], outputs: [`t${i}`], output_shape: [1, 8], macs: 100, parameters: 10, weight_bytes: 40, activation_bytes: 32, attributes: {},
}));
const network = buildNetwork({ layers, tensors: NAMES.map((_, i) => tensor(`t${i}`)), inputs: [tensor("image")], outputs: [tensor(`t${NAMES.length - 1}`)] });

/** What a studio sends, as the page reads it. */
const sent = (whole: Content): Content => contentOf(JSON.parse(JSON.stringify(planDocument({ name: "n", digest: "0".repeat(64) }, whole))) as ReturnType<typeof planDocument>);
const onAll = (device: string): Content => content(Object.fromEntries(NAMES.map((name) => [name, device])));
const edited = (from: Content, delta: ReturnType<typeof assign>): Content => (delta ? apply(from, delta) : from);

describe("layers called as what every object has", () => {
  it("are on no device until somebody puts them there", () => {
    for (const name of NAMES) {
      expect(placesOfLayer(EMPTY, name)).toEqual([]);
      expect(whereabouts(EMPTY, name)).toBe("");
      expect(conflictSide({ key: "", layers: [name], setting: null }, EMPTY)).toBe("no device");
    }
    expect(estimate(network, EMPTY).unplaced).toBe(NAMES.length);
    expect(fitTo(EMPTY, NAMES).left).toEqual(NAMES);
    expect(sharesOfLayers(EMPTY, NAMES)).toEqual([{ device: "", share: 1 }]);
    expect(pinsOf(EMPTY, NAMES)).toEqual({ pins: {}, skipped: NAMES });
    expect(boundariesOf(network, EMPTY, (node) => node)).toEqual([]);
    const rows = rowsOf(rowSource({ layers: [] }, network, buildFolds(network, [])), EMPTY, new Map(), new Map());
    expect(rows.map(({ devices, replicated }) => [devices, replicated])).toEqual(NAMES.map(() => [[], false]));
  });

  it("are put there, sent, taken off, undone and brought back like any other", () => {
    for (const name of NAMES) {
      const delta = assign(EMPTY, [name], "pi", "");
      const placed = edited(EMPTY, delta);
      expect(devicesOfLayer(sent(placed), name)).toEqual(["pi"]);
      expect(countDifferences(placed, EMPTY)).toBe(1);
      expect(sameContent(edited(placed, assign(placed, [name], null, "")), EMPTY)).toBe(true);
      expect(sameContent(edited(placed, delta && invert(delta)), EMPTY)).toBe(true);
      expect(sameContent(edited(EMPTY, replaceBy(EMPTY, placed, "")), placed)).toBe(true);
      expect(sameContent(edited(EMPTY, takeFrom(EMPTY, placed, [name], "")), placed)).toBe(true);
      expect(differences(NAMES, EMPTY, placed)).toEqual([{ layers: [name], mine: [], other: ["pi"] }]);
    }
    expect(sent(onAll("pi")).placement).toEqual(onAll("pi").placement);
    expect(Object.keys(pinsOf(onAll("pi"), NAMES).pins)).toEqual(NAMES);
  });

  it("of two windows are put together", () => {
    const [one, other] = NAMES as [string, string];
    const base = onAll("pi");
    const { content: both, conflicts } = merge(base, edited(base, assign(base, [one], "a", "")), edited(base, assign(base, [other], "b", "")));
    expect(conflicts).toEqual([]);
    expect([one, other, "toString"].map((name) => devicesOfLayer(both, name))).toEqual([["a"], ["b"], ["pi"]]);
  });
});

describe("a device called as what every object has", () => {
  it.each(NAMES)("%s holds layers and frames", (device) => {
    const placed = sent(onAll(device));
    expect(devicesOfLayer(placed, "toString")).toEqual([device]);
    expect(estimate(network, placed).devices.get(device)?.layers).toBe(NAMES.length);
    expect(crossings(edited(placed, assign(placed, ["__proto__"], "pi", "")), "constructor", "__proto__", 10)).toEqual([{ from: device, to: "pi", bytes: 10 }]);
    expect(devicesOfLayer(edited(placed, replaceDevice(placed, device, "pi")), "valueOf")).toEqual(["pi"]);
    const shared = edited(placed, replicate(placed, NAMES, [device, "pi"], [device, "pi"], ""));
    expect(devicesOfLayer(sent(shared), "valueOf")).toEqual([device, "pi"]);
  });

  it.each(NAMES)("%s that tells nothing is silent", (device) => {
    const told = { id: "d", epoch: 1, plan: planDocument({ name: "n", digest: "" }, onAll(device)), stages: [{ name: "s", device, devices: [device] }] };
    expect(pipelineNow(told as unknown as Parameters<typeof pipelineNow>[0], {}, null, null, 0).loads).toEqual([]);
  });
});
