import { describe, expect, it } from "vitest";
import { figuresOf, labelOf, nearest, neighbour, plotFront, pointsOf, usableAxis } from "./front";
import { plotGantt } from "./gantt";
import { predictionSample, reaching, searchSample } from "./samples";
import { brokenScaleOf, radiusOf, scaleOf } from "./scale";

const plain = (text: string) => text.replaceAll("\u202f", " ");
const points = pointsOf(searchSample, { ...predictionSample, throughput_per_s: 150 });

describe("a scale", () => {
  it("holds every value, with ticks within it", () => {
    for (const values of [[3, 9], [100, 101], [1e-8, 4e-8], [0], [], [5], [2e9, 9e9]]) {
      const { low, high, ticks, place } = scaleOf(values, 300);
      expect(high).toBeGreaterThan(low);
      for (const value of values) {
        expect(place(value)).toBeGreaterThanOrEqual(0);
        expect(place(value)).toBeLessThanOrEqual(300);
      }
      expect(ticks.length).toBeLessThan(9);
      for (const tick of ticks) expect(tick >= low - 1e-12 && tick <= high).toBe(true);
    }
  });
  it("begins at zero only where values are near it", () => {
    expect(scaleOf([10, 100], 1).low).toBe(0);
    expect(scaleOf([90, 100], 1).low).toBeGreaterThan(80);
  });
  it("keeps room for what must be told apart, and has strips for what lies far off", () => {
    const { place, side, from, to, ticks } = brokenScaleOf([484, 560], [1285, 480, 20], 300);
    expect([side(1285), side(480), side(520), side(20)]).toEqual([1, 0, 0, -1]);
    expect(place(560) - place(484)).toBeGreaterThan(0.25 * (to - from));
    expect(place(1285)).toBeGreaterThan(to);
    expect(place(20)).toBeLessThan(from);
    for (const tick of ticks) expect(place(tick) >= from && place(tick) <= to).toBe(true);
    const near = brokenScaleOf([1340, 1790], [4606], 300);
    expect(near.ticks).toContain(1800);
    for (const tick of near.ticks) expect(near.side(tick) === 0 && near.place(tick) <= near.to).toBe(true);
  });
  it("is whole where nothing is pressed together, and makes no mountain of what is as good as equal", () => {
    for (const [core, others] of [[[100, 200], [80, 220]], [[100], [900]], [[], [5, 900]], [[100, 100.02], [110, 90]]] as const) {
      const { from, to, side } = brokenScaleOf(core, others, 300);
      expect([from, to]).toEqual([0, 300]);
      for (const value of [...core, ...others]) expect(side(value)).toBe(0);
    }
  });
  it("tells a value by the area of a point", () => {
    expect([radiusOf(0, 0, 10), radiusOf(10, 0, 10), radiusOf(5, 5, 5)]).toEqual([4, 10, 4]);
  });
});

describe("points of the front", () => {
  it("are the open plan, both baselines, and the front by throughput", () => {
    expect(points.map(({ kind, title }) => `${kind}: ${title}`)).toEqual([
      "current: the open plan", "baseline: best single device", "baseline: whole network on every device", "front: point 1", "front: point 2",
    ]);
    expect(points.at(-1)?.throughput).toBe(200);
  });
  it("keep what they are while others come", () => {
    const more = pointsOf({ ...searchSample, front: [...searchSample.front, reaching(120, 0.06, 70e6)] }, null);
    const ids = new Set(more.map(({ id }) => id));
    expect(points.filter(({ kind }) => kind === "front").every(({ id }) => ids.has(id))).toBe(true);
  });
  it("lie to the right for more frames, and further up for more energy", () => {
    const { marks, missing } = plotFront(points, "energy", 300, 200);
    const [slow, fast] = marks.filter(({ point }) => point.kind === "front");
    expect(missing).toBe(0);
    expect(fast && slow && fast.x > slow.x && fast.y < slow.y && fast.radius > slow.radius).toBe(true);
    for (const { x, y } of marks) expect(x >= 0 && x <= 300 && y >= 0 && y <= 200).toBe(true);
  });
  it("without a known power are left out of energy, and memory is shown where no power is known at all", () => {
    const unknown = pointsOf({ front: [reaching(10, null, 5e6)], baselines: [] }, null);
    expect(usableAxis("energy", unknown)).toBe("memory");
    const mixed = [...points, ...unknown];
    expect(usableAxis("energy", mixed)).toBe("energy");
    expect(plotFront(mixed, "energy", 300, 200).missing).toBe(1);
    expect(plotFront(mixed, "memory", 300, 200).missing).toBe(0);
  });
  it("are told in full to who cannot see them", () => {
    const [current, , , point] = points;
    if (!current || !point) throw new Error("no points");
    expect(plain(labelOf(point))).toBe("Point 1: 100 frames/s, 20.0 ms for one frame, at most 50.0 mJ a device, at most 60.0 MB a device, 1 device. Enter opens its plan");
    expect(labelOf(current)).not.toContain("Enter");
    expect(figuresOf({ ...point, energy: null })).toContain("energy not known");
  });
  it("that lie on each other are drawn apart, in the chart, and each is the nearest where it is drawn", () => {
    const crowd = pointsOf({ front: Array.from({ length: 30 }, (_, i) => reaching(100 + i * 0.02, 0.05 + i * 1e-6, 60e6 + i)), baselines: [] }, { ...predictionSample, throughput_per_s: 100 });
    for (const axis of ["energy", "memory"] as const) {
      const { marks } = plotFront([...crowd, ...points], axis, 300, 200);
      for (const mark of marks) {
        expect(nearest(marks, mark, 20)?.point.id).toBe(mark.point.id);
        expect(mark.x >= 0 && mark.x <= 300 && mark.y >= 0 && mark.y <= 200).toBe(true);
      }
      const again = plotFront([...crowd, ...points], axis, 300, 200).marks;
      expect(again).toEqual(marks);
    }
  });
  it("with room around them stay where they belong", () => {
    const { marks } = plotFront(points.filter(({ kind }) => kind === "front"), "energy", 300, 200);
    for (const { x, y, own } of marks) expect({ x, y }).toEqual(own);
    expect(nearest(marks, { x: 150, y: 20 }, 10)).toBeNull();
  });
  it("that lie too far off for the scale tell their own figures, and which way they lie", () => {
    const front = [reaching(484, 0.011, 60e6), reaching(560, 0.013, 61e6)];
    const baselines = searchSample.baselines.map((one, i) => ({ ...one, prediction: { ...one.prediction, throughput_per_s: [500, 1285][i] ?? 0, max_energy_j: [0.012, 0.001][i] ?? 0 } }));
    const { marks } = plotFront(pointsOf({ front, baselines }, null), "energy", 300, 200);
    expect(marks.map(({ far }) => far && plain(far))).toEqual([null, "1285 frames/s, 1.00 mJ ↘", null, null]);
    const [near, far] = marks;
    expect(near && far && far.x > near.x && far.y > near.y).toBe(true);
  });
  it("tell what their sizes mean, unless all are of one size", () => {
    expect(plotFront(points, "energy", 300, 200).sizes).toEqual([60e6, 140e6]);
    expect(plotFront(points.slice(0, 1), "energy", 300, 200).sizes).toBeNull();
  });
  it("are walked by arrow keys, to both ends and no further", () => {
    const { marks } = plotFront(points, "energy", 300, 200);
    const order = [...marks].sort((a, b) => a.x - b.x).map(({ point }) => point.id);
    const walked = [order[0] ?? ""];
    for (let next = neighbour(marks, walked[0] ?? "", "ArrowRight"); next; next = neighbour(marks, next.point.id, "ArrowRight")) walked.push(next.point.id);
    expect(walked).toEqual(order);
    expect(neighbour(marks, order.at(-1) ?? "", "Home")?.point.id).toBe(order[0]);
    expect(neighbour(marks, order[0] ?? "", "End")?.point.id).toBe(order.at(-1));
    expect(neighbour(marks, order[0] ?? "", "a")).toBeNull();
    const upwards = [...marks].sort((a, b) => b.y - a.y);
    expect(neighbour(marks, upwards[0]?.point.id ?? "", "ArrowUp")?.y).toBeLessThanOrEqual(upwards[0]?.y ?? 0);
  });
});

describe("the first frames", () => {
  it("are rows of resources in the order in which a frame meets them, as long as the chart is wide", () => {
    const bar = (resource: string, frame: number, begin_s: number, end_s: number) => ({ resource, what: "stage", frame, begin_s, end_s });
    const { rows, seconds } = plotGantt({ bars: [bar("b", 0, 0.2, 0.4), bar("a", 1, 0.2, 0.3), bar("a", 0, 0, 0.2)] }, 400);
    expect(rows.map(({ resource, bars }) => [resource, bars.map(({ x, width }) => [Math.round(x), Math.round(width)])])).toEqual([
      ["a", [[0, 200], [200, 100]]],
      ["b", [[200, 200]]],
    ]);
    expect(seconds).toBe(0.4);
  });
  it("of nothing are nothing", () => {
    expect(plotGantt({ bars: [] }, 400)).toEqual({ rows: [], seconds: 0 });
  });
});
