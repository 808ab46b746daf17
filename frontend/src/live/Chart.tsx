/** One metric of one device over time, drawn by uPlot from the ring buffer. */
import { useComputedColorScheme } from "@mantine/core";
import { useEffect, useRef, useState } from "react";
import type uPlot from "uplot";
import "uplot/dist/uPlot.min.css";
import type { History } from "@/api/types";
import { insist } from "@/app/insist";
import { own } from "@/app/own";
import { seriesOf, liveStore } from "./store";
import { joinHistory, type WindowS } from "./history";
import type { Metric } from "./series";

interface ChartProps {
  device: string;
  metric: Metric;
  height: number;
  /** With axes and cursor; without: a sparkline. */
  axes?: boolean;
  format: (value: number) => string;
  /** Fixed upper end of the scale. */
  max?: number | undefined;
  /** How far back it reaches; beyond a minute with the stored history. */
  windowS?: WindowS;
  history?: History | null;
  /** Drawn as an estimate: broken. */
  estimated?: boolean;
}

function options(host: HTMLElement, { metric, height, axes = false, format, max, windowS = 60, estimated = false }: ChartProps): uPlot.Options {
  const style = getComputedStyle(host);
  const color = (name: string) => style.getPropertyValue(name).trim();
  const grid = { stroke: color("--ps-line"), width: 1 };
  const axis = { stroke: color("--ps-dim"), font: "11px system-ui, sans-serif", grid, ticks: { show: false } };
  return {
    width: Math.max(host.clientWidth, 10),
    height,
    padding: axes ? [8, 8, 0, 0] : [2, 0, 2, 0],
    legend: { show: false },
    cursor: { show: axes, drag: { x: false, y: false }, points: { size: 6 } },
    scales: {
      x: { time: true, range: (_, __, newest) => [newest - windowS, newest] },
      y: { range: (_, __, most) => [0, max ?? Math.max(most * 1.15, 1e-9)] },
    },
    axes: axes
      ? [
          { ...axis, size: 24, values: (_, ticks) => ticks.map((tick) => new Date(tick * 1000).toLocaleTimeString([], windowS > 60 ? { hour: "2-digit", minute: "2-digit" } : { minute: "2-digit", second: "2-digit" })) },
          { ...axis, size: 64, values: (_, ticks) => ticks.map((tick) => format(tick)) },
        ]
      : [{ show: false }, { show: false }],
    series: [
      {},
      {
        label: metric,
        stroke: color("--ps-chart"),
        fill: color("--ps-chart-fill"),
        width: axes ? 1.5 : 1.25,
        points: { show: false },
        spanGaps: false,
        ...(estimated && axes ? { dash: [5, 3] } : {}),
      },
    ],
  };
}

let library: typeof uPlot | null = null;

/** What draws charts, fetched for the first one. */
function useLibrary(): typeof uPlot | null {
  const [found, setFound] = useState(() => library);
  useEffect(() => {
    if (found) return;
    let wanted = true;
    void insist(() => import("uplot")).then(({ default: fetched }) => {
      library = fetched;
      if (wanted) setFound(() => fetched);
    });
    return () => {
      wanted = false;
    };
  }, [found]);
  return found;
}

export function Chart(props: ChartProps) {
  const { device, metric, height, axes, history = null, windowS = 60, estimated } = props;
  const host = useRef<HTMLDivElement>(null);
  const Plot = useLibrary();
  const scheme = useComputedColorScheme("light");
  const latest = useRef(props);
  useEffect(() => {
    latest.current = props;
  });

  useEffect(() => {
    const element = host.current;
    if (!element || !Plot) return;
    let frame = 0;
    let visible = true;
    const read = () => joinHistory(windowS > 60 ? history : null, metric, seriesOf(device).read(metric)) as uPlot.AlignedData;
    const plot = new Plot(options(element, latest.current), read(), element);
    const draw = () => {
      frame = 0;
      plot.setData(read());
    };
    const schedule = () => {
      if (visible && frame === 0) frame = requestAnimationFrame(draw);
    };
    const stop = liveStore.subscribe((state, before) => {
      if (own(state.latest, device) !== own(before.latest, device)) schedule();
    });
    const seen = new IntersectionObserver(([entry]) => {
      visible = entry?.isIntersecting ?? true;
      schedule();
    });
    const sized = new ResizeObserver(() => plot.setSize({ width: Math.max(element.clientWidth, 10), height }));
    seen.observe(element);
    sized.observe(element);
    return () => {
      stop();
      seen.disconnect();
      sized.disconnect();
      cancelAnimationFrame(frame);
      plot.destroy();
    };
  }, [Plot, device, metric, height, axes, scheme, history, windowS, estimated]);

  return <div ref={host} className="ps-chart" style={{ height }} aria-hidden />;
}
