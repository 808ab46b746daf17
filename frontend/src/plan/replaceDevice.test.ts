import { expect, it } from "vitest";
import { EMPTY_REST } from "./content";
import { apply } from "./delta";
import { devicesOfPlan } from "./divisions";
import { replaceDevice } from "./replaceDevice";
import { byRows, content } from "./samples";

it("a device that is gone is replaced wherever the plan names it, in one step", () => {
  const rest = {
    ...EMPTY_REST,
    resources: { gpu: { device: "gone", cores: [], processor: "gpu" as const, provider: "" as const } },
    replicas: { three: { places: ["gone", "pi1", "pi2"] }, two: { places: ["gone", "pi3"] } },
    codecs: [
      { producer: "gone", consumer: "*", tensors: [], codec: "lz4" as const, low: 0, high: null },
      { producer: "two", consumer: "three", tensors: [], codec: "zstd" as const, low: 0, high: null },
    ],
  };
  const before = { ...content({ a: "gone", b: "pi1", c: "gpu", d: "two", e: "three" }, [byRows(["x"], ["gone", "pi1"])]), rest };
  const delta = replaceDevice(before, "gone", "pi3");
  const after = delta && apply(before, delta);
  expect(after).toMatchObject({
    placement: { a: "pi3", b: "pi1", c: "gpu", d: "pi3", e: "three" },
    shards: [{ devices: ["pi3", "pi1"] }],
    rest: { resources: { gpu: { device: "pi3" } }, replicas: { three: { places: ["pi3", "pi1", "pi2"] } }, codecs: [{ producer: "pi3" }, { producer: "pi3", consumer: "three" }] },
  });
  expect(after && devicesOfPlan(after).has("gone")).toBe(false);
  expect(replaceDevice(content({ a: "pi1" }), "gone", "pi2")).toBeNull();
});
