/** Figures over the time of a run, drawn by uPlot; what they say is beside it as text. */
import { useComputedColorScheme } from "@mantine/core";
import { useEffect, useRef } from "react";
import uPlot from "uplot";
import "uplot/dist/uPlot.min.css";

interface LineChartProps {
  /** Seconds since the run began. */
  times: readonly number[];
  values: readonly (number | null)[];
  format: (value: number) => string;
  formatTime: (seconds: number) => string;
  /** How long the run has taken. */
  until: number;
  /** Broken: an estimate. */
  estimated?: boolean;
  max?: number;
  height?: number;
}

export function LineChart(props: LineChartProps) {
  const host = useRef<HTMLDivElement>(null);
  const scheme = useComputedColorScheme("light");
  const { times, values, format, formatTime, until, estimated = false, max, height = 130 } = props;
  useEffect(() => {
    const element = host.current;
    if (!element) return;
    const style = getComputedStyle(element);
    const color = (name: string) => style.getPropertyValue(name).trim();
    const axis = { stroke: color("--ps-dim"), font: "11px system-ui, sans-serif", grid: { stroke: color("--ps-line"), width: 1 }, ticks: { show: false } };
    const plot = new uPlot(
      {
        width: Math.max(element.clientWidth, 10),
        height,
        padding: [8, 8, 0, 0],
        legend: { show: false },
        cursor: { drag: { x: false, y: false }, points: { size: 6 } },
        scales: { x: { time: false, range: () => [0, Math.max(until, 1)] }, y: { range: (_, __, most) => [0, max ?? Math.max(most * 1.15, 1e-9)] } },
        axes: [
          { ...axis, size: 24, values: (_, ticks) => ticks.map(formatTime) },
          { ...axis, size: 64, values: (_, ticks) => ticks.map(format) },
        ],
        series: [{}, { stroke: color("--ps-chart"), fill: color("--ps-chart-fill"), width: 1.5, points: { show: times.length < 3 }, spanGaps: false, ...(estimated ? { dash: [5, 3] } : {}) }],
      },
      [[...times], [...values]],
      element,
    );
    const sized = new ResizeObserver(() => plot.setSize({ width: Math.max(element.clientWidth, 10), height }));
    sized.observe(element);
    return () => {
      sized.disconnect();
      plot.destroy();
    };
  }, [times, values, format, formatTime, until, estimated, max, height, scheme]);
  return <div ref={host} className="ps-chart" style={{ height }} aria-hidden />;
}
