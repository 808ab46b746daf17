import { describe, expect, it } from "vitest";
import { energySample } from "@/live/samples";
import { bestOf, compareRows } from "./compare";
import { chartSvg, compareCsv, csvCell, reportHtml } from "./export";
import { reportSample } from "./samples";
import { bottleneckWords, busiestOf, formatLength } from "./words";

const row = (title: string, ...reports: Parameters<typeof compareRows>[0]) => compareRows(reports).find((found) => found.title === title);

describe("runs side by side", () => {
  it("mark the best only where more than one is known and they differ", () => {
    expect([...bestOf([3, null, 5], "more")]).toEqual([2]);
    expect([...bestOf([3, null], "more")]).toEqual([]);
    expect([...bestOf([3, 3], "less")]).toEqual([]);
    expect([...bestOf([2, 3, 2], "less")]).toEqual([0, 2]);
  });
  it("what is absent is a dash and never best", () => {
    const none = { ...reportSample, run: { ...reportSample.run, frames_per_s: null } };
    const fps = row("Frames/s", reportSample, none);
    expect(fps?.cells).toEqual(["10.0", "–"]);
    expect(fps?.best.size).toBe(0);
  });
  it("joules of different sources are not compared", () => {
    const other = { ...reportSample, run: { ...reportSample.run, energy: { "pi-1": { ...energySample, scope: "wall" as const, gross_per_frame_j: 0.1 } } } };
    const alike = { ...reportSample, run: { ...reportSample.run, energy: { "pi-1": { ...energySample, gross_per_frame_j: 0.1 } } } };
    expect(row("Energy per frame, pi-1", reportSample, other)?.best.size).toBe(0);
    expect([...(row("Energy per frame, pi-1", reportSample, alike)?.best ?? [])]).toEqual([1]);
  });
});

describe("the busiest device", () => {
  it("is the one that computes longest for a frame of the network: a replica's frames are its own", () => {
    const busiest = busiestOf(reportSample);
    expect(busiest?.device).toBe("pi-2");
    expect(busiest?.busyS).toBeCloseTo(0.06);
    expect(busiest?.utilisation).toBeCloseTo(0.6);
  });
  it("is not known where no stage was heard", () => {
    expect(busiestOf({ ...reportSample, stages: [] })).toBeNull();
    expect(busiestOf({ ...reportSample, stages: reportSample.stages.slice(2) })).toBeNull();
  });
});

describe("a report as a file", () => {
  it("takes no text as markup, and needs nothing else", () => {
    const html = reportHtml({ ...reportSample, model_name: "<script>alert(1)</script>", stages: reportSample.stages.map((stage) => ({ ...stage, device: '"><img src=x>' })) });
    expect(html).not.toContain("<script");
    expect(html).not.toContain("<img");
    expect(html).toContain("&lt;script&gt;");
    expect(html).not.toMatch(/<[^>]+(?:src|href)=/);
  });
  it("has no chart of one stretch", () => {
    expect(chartSvg(reportSample.points)).toContain("polyline");
    expect(chartSvg(reportSample.points.slice(1))).toBe("");
  });
  it("has no formula for a spreadsheet, and keeps commas in their cell", () => {
    expect(csvCell("=1+1")).toBe("'=1+1");
    expect(csvCell("-3.5")).toBe("-3.5");
    expect(csvCell('a,"b"')).toBe('"a,""b"""');
    expect(compareCsv([reportSample])).toContain("Frames/s,10.0\n");
  });
});

describe("words of runs", () => {
  it("are read without counting digits", () => {
    expect(formatLength(3723)).toBe("1:02:03");
    expect(formatLength(61)).toBe("1:01");
    expect(bottleneckWords({ kind: "link", name: "pi-1->pi-2" })).toBe("the link pi-1 to pi-2");
  });
});
