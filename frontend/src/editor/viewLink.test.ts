import { describe, expect, it } from "vitest";
import { readRuns, readView, writeRuns, writeView, type LinkedView } from "./viewLink";

const PLAIN: LinkedView = { nodes: 3, selection: "", open: null, base: null, camera: null, table: false, sort: null, grouped: false, measure: null, heat: false, details: false, find: "", onlyHits: false };
const view: LinkedView = { ...PLAIN, nodes: 60, selection: "3-5.9", open: ["stage1", "a,b & <c>/é", "x=y?"], base: [], camera: { node: 12, x: -3.25, y: 40, zoom: 0.8125 } };

describe("a link to a view", () => {
  it("says again what it was given, whatever names have in them", () => {
    expect(readView(writeView(view))).toEqual(view);
    expect(readView(new URL(`http://studio/m/x/p/1${writeView(view)}`).search)).toEqual(view);
    expect(readView(writeView(PLAIN))).toEqual(PLAIN);
  });

  it("says how the layers are shown, too", () => {
    const table: LinkedView = { ...PLAIN, table: true, sort: { by: "bytes", down: true }, grouped: true, measure: "seconds", heat: true, details: true, find: "kind:Conv bytes>1 MB & 'é=+%'", onlyHits: true };
    expect(readView(writeView(table))).toEqual(table);
    expect(readView("?n=3&sort=bytes&bar=%E0%A4%A&find=%")).toEqual(PLAIN);
  });

  it("is short for many layers", () => {
    const all = Array.from({ length: 1500 }, (_, i) => i);
    expect(writeRuns(all)).toBe("0-1499");
    expect(writeRuns([7, 3, 4, 3])).toBe("3-4.7");
    expect(readRuns("0-1499", 1500)).toEqual(all);
  });

  it.each(["", "?", "?sel=3", "?n=0", "?n=-4&sel=1", "?n=x&sel=1", "?n=1e99"])("that says no view is none: %s", (search) => {
    expect(readView(search)).toBeNull();
  });

  it("that does not fit is read as far as it does", () => {
    expect(readView("?n=5&sel=1.3-99999999.4-2.x.9&open=%E0%A4%A,b&at=7&x=1&y=1&z=1")).toEqual({ ...PLAIN, nodes: 5, selection: "1.3-99999999.4-2.x.9", open: ["b"] });
    expect(readRuns("1.3-99999999.4-2.x.9", 5)).toEqual([1]);
    expect(readView("?n=5&sel=3-99&at=1&x=1&y=&z=1")).toMatchObject({ selection: "3-99", camera: null });
    expect(readRuns("3-99", 5)).toEqual([3, 4]);
  });

  it("cannot ask for more layers than there are, however often it names them", () => {
    expect(readRuns(Array.from({ length: 900 }, () => "0-9999999").join("."), 1500)).toHaveLength(1500);
    expect(readView(`?n=${Number.MAX_SAFE_INTEGER}&sel=0-9999999.0-9999999`)).toMatchObject({ selection: "0-9999999.0-9999999" });
  });
});
