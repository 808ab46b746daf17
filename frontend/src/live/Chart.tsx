/** One metric of one device over time, drawn by uPlot from the ring buffer. */
import { useComputedColorScheme } from "@mantine/core";
import { useEffect, useRef } from "react";
import uPlot from "uplot";
import "uplot/dist/uPlot.min.css";
import { seriesOf, liveStore } from "./store";
import type { Metric } from "./series";

const WINDOW_S = 60;

interface ChartProps {
  device: string;
  metric: Metric;
  height: number;
  /** With axes and cursor; without: a sparkline. */
  axes?: boolean;
  format: (value: number) => string;
  /** Fixed upper end of the scale. */
  max?: number | undefined;
}

function options(host: HTMLElement, { metric, height, axes = false, format, max }: ChartProps): uPlot.Options {
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
      x: { time: true, range: (_, __, newest) => [newest - WINDOW_S, newest] },
      y: { range: (_, __, most) => [0, max ?? Math.max(most * 1.15, 1e-9)] },
    },
    axes: axes
      ? [
          { ...axis, size: 24, values: (_, ticks) => ticks.map((tick) => new Date(tick * 1000).toLocaleTimeString([], { minute: "2-digit", second: "2-digit" })) },
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
      },
    ],
  };
}

export function Chart(props: ChartProps) {
  const { device, metric, height, axes } = props;
  const host = useRef<HTMLDivElement>(null);
  const scheme = useComputedColorScheme("light");
  const latest = useRef(props);
  useEffect(() => {
    latest.current = props;
  });

  useEffect(() => {
    const element = host.current;
    if (!element) return;
    let frame = 0;
    let visible = true;
    const plot = new uPlot(options(element, latest.current), seriesOf(device).read(metric) as uPlot.AlignedData, element);
    const draw = () => {
      frame = 0;
      plot.setData(seriesOf(device).read(metric) as uPlot.AlignedData);
    };
    const schedule = () => {
      if (visible && frame === 0) frame = requestAnimationFrame(draw);
    };
    const stop = liveStore.subscribe((state, before) => {
      if (state.latest[device] !== before.latest[device]) schedule();
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
  }, [device, metric, height, axes, scheme]);

  return <div ref={host} className="ps-chart" style={{ height }} aria-hidden />;
}
