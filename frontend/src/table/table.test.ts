import { describe, expect, it } from "vitest";
import type { Troubles } from "@/editor/troubles";
import { EMPTY } from "@/plan/content";
import { byRows, content } from "@/plan/samples";
import { buildFolds } from "@/graph/folds";
import { residualNet } from "@/graph/samples";
import { readColumns } from "./columnChoice";
import { ariaSort, COLUMNS, nextSort, sortRows, toTsv, usualColumns, type Sort } from "./columns";
import { groupedList, nodesOf, placeOf, plainList, range } from "./list";
import { rowsOf, rowSource, type LayerRow } from "./rows";

const { network, blocks } = residualNet([2, 1]);
const tree = buildFolds(network, blocks);
const source = rowSource({ layers: [] }, network, tree);
const NONE = new Map<string, never>();
const rowsWith = (plan = EMPTY, costs = new Map(), troubles: Troubles = new Map()) => rowsOf(source, plan, costs, troubles);
const names = (rows: readonly LayerRow[]) => rows.map(({ name }) => name);

describe("rows", () => {
  it("are the layers in their order, with the blocks around them, innermost first", () => {
    const rows = rowsWith();
    expect(rows).toHaveLength(network.layerCount);
    expect(rows.map(({ order }) => order)).toEqual(rows.map((_, i) => i + 1));
    expect(rows[3]?.blocks).toEqual(["residual1", "stage1"]);
    expect(rows[0]?.blocks).not.toContain("stage1");
  });

  it("know devices, divided layers, replicas and what is wrong", () => {
    const plan = { ...content({ conv0: "a", relu1: "both" }, [byRows(["conv3"], ["a", "b"])]) };
    const rows = rowsWith({ ...plan, rest: { ...plan.rest, replicas: { both: { places: ["a", "b"] } } } }, NONE, new Map([["relu1", [{ severity: "warning", message: "too large", nextStep: null }]]]));
    const of = (name: string) => rows.find((row) => row.name === name);
    expect(of("conv0")).toMatchObject({ devices: ["a"], divided: false, replicated: false, warning: null });
    expect(of("relu1")).toMatchObject({ devices: ["a", "b"], replicated: true, warning: "too large", isError: false });
    expect(of("conv3")).toMatchObject({ devices: ["a", "b"], divided: true });
    expect(of("maxpool2")?.devices).toEqual([]);
  });

  it("have time and energy only where a profile says so; absent is no 0", () => {
    const costs = new Map([["a", new Map([["conv0", { seconds: 0.002, joules: null }]])]]);
    const rows = rowsWith(content({ conv0: "a", relu1: "b" }), costs);
    expect(rows[0]).toMatchObject({ seconds: 0.002, joules: null });
    expect(rows[1]).toMatchObject({ seconds: null, joules: null });
    expect(COLUMNS.joules.text(rows[0] as LayerRow)).toBeNull();
    expect(usualColumns(rows)).toContain("seconds");
    expect(usualColumns(rows)).not.toContain("joules");
  });
});

describe("sorting", () => {
  const rows = rowsWith().map((row, i) => ({ ...row, macs: i % 3, seconds: i === 2 ? null : 1, name: `layer${(i * 7) % 20}` }));

  it("has three states, and numbers begin with the largest", () => {
    const first = nextSort(null, "macs");
    const second = nextSort(first, "macs");
    expect([first, second, nextSort(second, "macs")]).toEqual([{ by: "macs", down: true }, { by: "macs", down: false }, null]);
    expect(nextSort(null, "name")).toEqual({ by: "name", down: false });
    expect(nextSort(first, "kind")).toEqual({ by: "kind", down: false });
    expect(["macs", "name"].map((by) => ariaSort(first, by as Sort["by"]))).toEqual(["descending", "none"]);
  });

  it("leaves what is equal in the order of the network, whichever way", () => {
    for (const down of [true, false]) {
      const sorted = sortRows(rows, { by: "macs", down });
      for (const value of [0, 1, 2]) {
        const orders = sorted.filter(({ macs }) => macs === value).map(({ order }) => order);
        expect(orders).toEqual([...orders].sort((a, b) => a - b));
      }
    }
    expect(sortRows(rows, null)).toBe(rows);
  });

  it("puts what is not known last, either way", () => {
    for (const down of [true, false]) expect(sortRows(rows, { by: "seconds", down }).at(-1)?.seconds).toBeNull();
  });

  it("reads numbers in names", () => {
    const sorted = names(sortRows(rows, { by: "name", down: false }));
    expect(sorted.indexOf("layer2")).toBeLessThan(sorted.indexOf("layer10"));
  });
});

describe("the list", () => {
  const rows = rowsWith();

  it("groups rows by their innermost blocks, and hides those of folded ones", () => {
    const open = groupedList(rows, tree, new Set());
    const fold = tree.byName.get("residual1") ?? -1;
    const group = open.findIndex((item) => item.kind === "group" && item.fold === fold);
    expect(open[group]).toMatchObject({ name: "stage1 › residual1", isOpen: true });
    const members = nodesOf(open[group] as (typeof open)[number]);
    const closed = groupedList(rows, tree, new Set([fold]));
    expect(closed).toHaveLength(open.length - members.length);
    expect(placeOf(closed, members[1] ?? -1)).toBe(group);
    expect(placeOf(open, members[1] ?? -1)).toBe(group + 2);
    expect(open.filter(({ kind }) => kind === "row")).toHaveLength(rows.length);
  });

  it("gives ranges in the order shown, folded groups whole, each node once", () => {
    const items = plainList([...rows].reverse());
    expect(range(items, 4, 2)).toEqual([2, 3, 4].map((i) => items[i]).map((item) => (item?.kind === "row" ? item.row.node : -1)));
    const fold = tree.byName.get("residual1") ?? -1;
    const grouped = groupedList(rows, tree, new Set([fold]));
    const place = grouped.findIndex((item) => item.kind === "group" && item.fold === fold);
    expect(range(grouped, place, place)).toEqual(tree.folds[fold]?.nodes);
    const all = range(grouped, 0, grouped.length - 1);
    expect(new Set(all).size).toBe(all.length);
    expect(all).toHaveLength(rows.length);
  });
});

describe("what is copied", () => {
  it("has whole numbers, nothing for what is absent, and no formula of a stranger's file", () => {
    const [row] = rowsWith();
    const strange: LayerRow = { ...(row as LayerRow), name: '=cmd()\t"a"\nb', macs: 1_234_567, seconds: null };
    expect(toTsv([strange], ["order", "name", "macs", "seconds", "device"])).toBe("order\tname\tMACs\tpredicted seconds\tdevice\n1\t'=cmd() \"a\" b\t1234567\t\t");
  });
});

describe("chosen columns", () => {
  it("are kept in their order, and only if they make sense", () => {
    expect(readColumns('["macs","name","nonsense"]')).toEqual(["name", "macs"]);
    for (const text of [null, "x", "{}", '["macs"]']) expect(readColumns(text)).toBeNull();
  });
});
