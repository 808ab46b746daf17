import { describe, expect, it } from "vitest";
import { planDocument } from "./content";
import { autodiceHosts, hostOf, mapDevices, readCuts, sameNamed, takeOver } from "./foreign";
import { byRows, content } from "./samples";

describe("names in AutoDiCE's files", () => {
  it.each([["nx01_arm0123", "nx01"], ["nx01_cpu", "nx01"], ["lenovo_cpu0", "lenovo"], ["nx01_gpu", "nx01"], ["nx01", "nx01"], ["my_board", "my_board"], ["my_board_gpu", "my_board"], ["alice_armstrong", "alice_armstrong"], ["_gpu", "_gpu"]])("%s is of %s", (key, host) => {
    expect(hostOf(key)).toBe(host);
  });
  it("are the hosts of the mapping and of the horizontal file, each once", () => {
    const mapping = JSON.stringify({ nx01_arm0: ["a"], nx01_gpu: ["b"], pi_cpu: ["c"] });
    expect(autodiceHosts(mapping, JSON.stringify({ c: ["lop", [8, 65535], ["pi_cpu", "other_cpu0"]] }))).toEqual({ names: ["nx01", "pi", "other"] });
  });
  it("of a file that is no JSON object are none, and the file is named", () => {
    expect(autodiceHosts("[]", null)).toEqual({ problem: "The mapping file is no JSON object." });
    expect(autodiceHosts("{}", "{")).toEqual({ problem: "The horizontal file is no JSON object." });
    expect(mapDevices("x")).toEqual({ problem: "The map is no JSON object." });
  });
});

describe("a map of layers to devices", () => {
  it("names each device once", () => {
    expect(mapDevices(JSON.stringify({ a: "pi1", b: "pi2", c: "pi1" }))).toEqual({ names: ["pi1", "pi2"] });
  });
  it("may have a layer of any name", () => {
    expect(mapDevices(JSON.stringify({ problem: "pi1", names: "pi2" }))).toEqual({ names: ["pi1", "pi2"] });
  });
  it("finds registered devices of the same name, and leaves others open", () => {
    expect(sameNamed(["pi1", "NX01", "lenovo"], ["pi1", "nx01"])).toEqual({ pi1: "pi1", NX01: "nx01" });
  });
});

describe("a list of cuts", () => {
  it.each([['["a:0", "b:0"]'], ["a:0\nb:0\n"], ["  a:0\r\n\r\nb:0"]])("%j", (text) => {
    expect(readCuts(text)).toEqual(["a:0", "b:0"]);
  });
});

describe("an imported plan", () => {
  it("keeps what the files cannot say", () => {
    const present = { ...content({ a: "old" }, [], "mine"), rest: { ...content({}).rest, name: "mine", blocks: { front: ["a"] } } };
    const imported = planDocument({ digest: "d".repeat(64), name: "digits" }, content({ b: "pi1" }, [byRows(["a"], ["pi1", "pi2"])]));
    expect(takeOver(imported, present)).toMatchObject({ placement: { b: "pi1" }, shards: [{ layers: ["a"] }], rest: { name: "mine", blocks: { front: ["a"] } } });
  });
});
