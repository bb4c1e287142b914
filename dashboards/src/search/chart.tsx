// Events per span of time; dragging over it chooses a range. Keyboard: the time picker does the same.
import { useEffect, useRef } from "preact/hooks";
import uPlot from "uplot";
import { isUtc, millis, stamp } from "../text";
import { colour } from "../theme";
import type { Aggregated } from "../types";

export type Histogram = Extract<Aggregated, { type: "histogram" }>;

function data(histogram: Histogram): [number[], number[]] {
  return [histogram.buckets.map((one) => millis(one.start) / 1000), histogram.buckets.map((one) => one.count)];
}

function options(width: number, step: number, range: [number, number], brushed: (from: number, to: number) => void): uPlot.Options {
  const axis = { stroke: colour("c-muted"), grid: { stroke: colour("c-line"), width: 1 }, ticks: { show: false }, font: "11px system-ui, sans-serif" };
  return {
    width, height: 120, legend: { show: false }, padding: [6, 8, 0, 0],
    tzDate: (ts) => (isUtc() ? uPlot.tzDate(new Date(ts * 1000), "Etc/UTC") : new Date(ts * 1000)),
    scales: { x: { time: true, range: () => range }, y: { range: (_u, _min, max) => [0, Math.max(1, max * 1.08)] } },
    cursor: { drag: { x: true, y: false, setScale: false }, points: { show: false }, y: false },
    axes: [{ ...axis, grid: { show: false }, size: 24, space: 90, values: (_u, ticks) => ticks.map((at) => (range[1] - range[0] > 86_400 ? stamp(at * 1000).slice(5, 16) : stamp(at * 1000).slice(11, range[1] - range[0] < 600 ? 19 : 16))) }, { ...axis, size: 44, space: 28, values: (_u, ticks) => ticks.map((n) => (Number.isInteger(n) ? Intl.NumberFormat("en", { notation: "compact" }).format(n) : "")) }],
    series: [{}, { paths: uPlot.paths.bars!({ size: [0.86, 60], align: 1 }), fill: colour("c-bar"), stroke: colour("c-bar"), width: 0, points: { show: false } }],
    hooks: {
      setSelect: [(plot) => {
        if (plot.select.width < 4) return;
        const from = plot.posToVal(plot.select.left, "x");
        const to = plot.posToVal(plot.select.left + plot.select.width, "x");
        plot.setSelect({ left: 0, top: 0, width: 0, height: 0 }, false);
        brushed(Math.floor(from * 1000), Math.max(Math.ceil(to * 1000), Math.floor(from * 1000) + Math.min(1000, step * 1000)));
      }],
    },
  };
}

export function Chart(props: { histogram: Histogram; range: [number, number] | null; brushed: (from: number, to: number) => void }) {
  const box = useRef<HTMLDivElement>(null);
  const tip = useRef<HTMLDivElement>(null);
  const brushed = useRef(props.brushed);
  brushed.current = props.brushed;
  useEffect(() => {
    const element = box.current;
    if (!element) return;
    const [times, counts] = data(props.histogram);
    const step = props.histogram.interval_seconds;
    const first = times[0] ?? 0;
    const last = (times[times.length - 1] ?? first) + step;
    const range: [number, number] = props.range ? [props.range[0] / 1000, props.range[1] / 1000] : [first, last];
    let plot: uPlot | null = null;
    const draw = () => {
      plot?.destroy();
      const all = options(element.clientWidth, step, range, (from, to) => brushed.current(from, to));
      all.hooks = { ...all.hooks, setCursor: [(u) => {
        const at = u.cursor.idx;
        if (!tip.current) return;
        tip.current.textContent = at === null || at === undefined || (u.cursor.left ?? -1) < 0 ? "Drag over the bars to choose a time range." : `${stamp((times[at] ?? 0) * 1000)} · ${counts[at] ?? 0} events`;
      }] };
      plot = new uPlot(all, [times, counts], element);
    };
    draw();
    let width = element.clientWidth;
    const watcher = new ResizeObserver(() => {
      if (Math.abs(element.clientWidth - width) < 2) return;
      width = element.clientWidth;
      plot?.setSize({ width, height: 120 });
    });
    watcher.observe(element);
    const media = matchMedia("(prefers-color-scheme: dark)");
    media.addEventListener("change", draw);
    addEventListener("pikett-theme", draw);
    return () => {
      watcher.disconnect();
      media.removeEventListener("change", draw);
      removeEventListener("pikett-theme", draw);
      plot?.destroy();
    };
  }, [props.histogram, props.range?.[0], props.range?.[1]]);
  const total = props.histogram.buckets.reduce((sum, one) => sum + one.count, 0);
  return (
    <figure class="chart" aria-label={`Events over time: ${total} in ${props.histogram.buckets.length} spans of ${props.histogram.interval_seconds} seconds`}>
      <div ref={box} class="plot" />
      <figcaption class="muted small" ref={tip}>Drag over the bars to choose a time range.</figcaption>
    </figure>
  );
}
