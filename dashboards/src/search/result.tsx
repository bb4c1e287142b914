// What stages give: a table, and a chart of it when its rows are spans of time or groups with a number.
import { useEffect, useRef, useState } from "preact/hooks";
import uPlot from "uplot";
import { cell as csvCell } from "../query";
import { isUtc, millis, number, plain, stamp, Text } from "../text";
import { colour } from "../theme";
import type { Json, Table } from "../types";

/** Most series and bars that are drawn. */
const SERIES = 8;
const BARS = 20;
const COLOURS = ["#2f7ed8", "#e07b39", "#3aa76d", "#b8518f", "#8a6fd1", "#c2a230", "#2aa7b0", "#c94f4f"];

export function shown(value: Json): string {
  if (value === null) return "";
  if (Array.isArray(value)) return value.map(shown).join(", ");
  return typeof value === "object" ? JSON.stringify(value) : String(value);
}

export interface Lines { times: number[]; series: { title: string; values: (number | null)[] }[]; hidden: number }

/** Ends of the axis of times, seconds, around these as the chart proposes; for a single span it proposes years. */
export function ends(times: number[], first: number | null, last: number | null): [number, number] {
  const from = first ?? times[0] ?? 0;
  const to = times.length > 1 ? last ?? from : from;
  return from < to ? [from, to] : [from - 60, from + 60];
}

/** The first figure over time, a series for each group; null when rows are no spans of time. */
export function lines(table: Table): Lines | null {
  const time = table.columns.findIndex((one) => one.role === "time");
  const groups = table.columns.flatMap((one, at) => (one.role === "group" ? [at] : []));
  const values = table.columns.flatMap((one, at) => (one.role === "value" ? [at] : []));
  const first = values[0];
  if (time < 0 || first === undefined || table.rows.length === 0) return null;
  const times = [...new Set(table.rows.map((row) => millis(String(row[time]))))].filter(Number.isFinite).sort((a, b) => a - b);
  const place = new Map(times.map((at, n) => [at, n]));
  const found = new Map<string, { total: number; values: (number | null)[] }>();
  for (const row of table.rows) {
    const at = place.get(millis(String(row[time])));
    if (at === undefined) continue;
    for (const column of groups.length ? [first] : values) {
      const title = groups.length ? groups.map((group) => shown(row[group] ?? null)).join(" · ") : table.columns[column]!.name;
      const slot = found.get(title) ?? { total: 0, values: times.map(() => (groups.length ? 0 : null)) };
      const value = row[column] === null || row[column] === undefined ? NaN : Number(row[column]);
      slot.values[at] = Number.isFinite(value) ? value : null;
      slot.total += Number.isFinite(value) ? value : 0;
      found.set(title, slot);
    }
  }
  const ranked = [...found].sort((a, b) => b[1].total - a[1].total);
  const series = ranked.slice(0, SERIES).map(([title, slot]) => ({ title, values: slot.values }));
  return { times: times.map((at) => at / 1000), series, hidden: Math.max(0, ranked.length - SERIES) };
}

function TimeChart(props: { drawn: Lines }) {
  const box = useRef<HTMLDivElement>(null);
  useEffect(() => {
    const element = box.current;
    if (!element) return;
    let plot: uPlot | null = null;
    const draw = () => {
      plot?.destroy();
      const axis = { stroke: colour("c-muted"), grid: { stroke: colour("c-line"), width: 1 }, ticks: { show: false }, font: "11px system-ui, sans-serif" };
      const series = props.drawn.series.map((one, n) => ({
        label: plain(one.title) || "(empty)", stroke: COLOURS[n % COLOURS.length]!, width: 1.5, points: { show: props.drawn.times.length < 40, size: 4 },
      }));
      plot = new uPlot({
        width: element.clientWidth, height: 220, padding: [6, 8, 0, 0],
        tzDate: (ts) => (isUtc() ? uPlot.tzDate(new Date(ts * 1000), "Etc/UTC") : new Date(ts * 1000)),
        scales: { x: { time: true, range: (_u, min, max) => ends(props.drawn.times, min, max) }, y: { range: (_u, min, max) => [Math.min(0, min), Math.max(1, max * 1.08)] } },
        axes: [{ ...axis, grid: { show: false } }, { ...axis, size: 60 }],
        series: [{ value: (_u, ts) => (ts === null ? "" : stamp(ts * 1000)) }, ...series],
      }, [props.drawn.times, ...props.drawn.series.map((one) => one.values)] as uPlot.AlignedData, element);
    };
    draw();
    const watcher = new ResizeObserver(() => plot?.setSize({ width: element.clientWidth, height: 220 }));
    watcher.observe(element);
    addEventListener("pikett-theme", draw);
    return () => {
      watcher.disconnect();
      removeEventListener("pikett-theme", draw);
      plot?.destroy();
    };
  }, [props.drawn]);
  return (
    <figure class="chart" aria-label={`${props.drawn.series.length} series over ${props.drawn.times.length} spans of time`}>
      <div ref={box} class="plot tall" />
      {props.drawn.hidden > 0 && <figcaption class="muted small">The {SERIES} greatest are drawn; {props.drawn.hidden} more are in the table.</figcaption>}
    </figure>
  );
}

/** The first figure of each group as a bar; null when there is none, or a single group. */
export function bars(table: Table): { title: string; value: number }[] | null {
  const groups = table.columns.flatMap((one, at) => (one.role === "group" ? [at] : []));
  const value = table.columns.findIndex((one) => one.role === "value");
  if (value < 0 || groups.length === 0 || table.rows.length < 2 || table.columns.some((one) => one.role === "time")) return null;
  const all = table.rows.slice(0, BARS).map((row) => ({ title: groups.map((at) => shown(row[at] ?? null)).join(" · "), value: Number(row[value] ?? NaN) }));
  return all.every((one) => Number.isFinite(one.value) && one.value >= 0) ? all : null;
}

function Bars(props: { all: { title: string; value: number }[] }) {
  const most = Math.max(...props.all.map((one) => one.value), 1e-9);
  return (
    <figure class="chart bars" aria-hidden="true">
      {props.all.map((one) => (
        <div class="bar-row">
          <span class="clip"><Text value={one.title || "(empty)"} max={80} /></span>
          <svg viewBox="0 0 100 1" preserveAspectRatio="none"><rect width={(one.value / most) * 100} height="1" /></svg>
          <span class="n">{number(one.value)}</span>
        </div>
      ))}
    </figure>
  );
}

export function tableCsv(table: Table): string {
  const row = (cells: string[]) => cells.map(csvCell).join(",");
  return [row(table.columns.map((one) => one.name)), ...table.rows.map((cells) => row(cells.map(shown)))].join("\r\n") + "\r\n";
}

const AT_ONCE = 200;

export function Result(props: { table: Table; narrow: (field: string, value: string, not: boolean) => void }) {
  const { table } = props;
  const [limit, more] = useState(AT_ONCE);
  const drawn = lines(table);
  const barred = drawn ? null : bars(table);
  return (
    <section class="results" aria-label="Table">
      {drawn && <TimeChart drawn={drawn} />}
      {barred && <Bars all={barred} />}
      <p class="small muted" role="status">{number(table.rows.length)} rows</p>
      {table.rows.length > 0 && (
        <table class="rows">
          <thead><tr>{table.columns.map((one) => <th scope="col" class={one.role === "value" ? "n" : ""}>{plain(one.name)}</th>)}</tr></thead>
          <tbody>
            {table.rows.slice(0, limit).map((row) => (
              <tr>{row.map((value, at) => {
                const column = table.columns[at]!;
                const text = shown(value);
                if (column.role === "value") return <td class="n mono">{typeof value === "number" ? number(value) : <Text value={text} max={200} />}</td>;
                if (column.role === "time") return <td class="nowrap mono">{stamp(millis(text))}</td>;
                const one = value !== null && !Array.isArray(value);
                return <td>{one ? <button type="button" class="linkish" title={`Events with this ${plain(column.name)}`} onClick={() => props.narrow(column.name, text, false)}><Text value={text || "(empty)"} max={200} /></button> : <Text value={text} max={200} />}</td>;
              })}</tr>
            ))}
          </tbody>
        </table>
      )}
      {table.rows.length > limit && <button type="button" class="more" onClick={() => more(limit + AT_ONCE)}>Show {AT_ONCE} more</button>}
    </section>
  );
}
