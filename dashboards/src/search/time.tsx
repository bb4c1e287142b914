// The time range: quick spans, or from and to.
import { useState } from "preact/hooks";
import { isUtc, millis, stamp } from "../text";
import { Dialog, Failure } from "../ui";

export const SPANS: [string, string][] = [["now-15m", "15 min"], ["now-1h", "1 h"], ["now-24h", "24 h"], ["now-7d", "7 d"], ["", "All"]];
export interface Range { from: string; to: string }

const UNITS: Record<string, number> = { s: 1, m: 60, h: 3600, d: 86_400, w: 604_800 };

/** The range in milliseconds as of now, when it has both ends. */
export function bounds(range: Range): [number, number] | null {
  const at = (text: string, none: number): number => {
    if (!text || text === "now") return none;
    const relative = /^now-(\d+)([smhdw])$/.exec(text);
    return relative ? Date.now() - Number(relative[1]) * (UNITS[relative[2]!] ?? 1) * 1000 : millis(text);
  };
  const from = at(range.from, NaN);
  const to = at(range.to, Date.now());
  return Number.isFinite(from) && Number.isFinite(to) && from < to ? [from, to] : null;
}

function input(ms: number): string {
  return stamp(ms).replace(" ", "T");
}

function read(text: string): string | null {
  const ms = Date.parse(isUtc() ? `${text}Z` : text);
  return Number.isFinite(ms) ? new Date(ms).toISOString() : null;
}

function Absolute(props: { range: Range; choose: (range: Range) => void; close: () => void }) {
  const [low, high] = bounds(props.range) ?? [Date.now() - 3_600_000, Date.now()];
  const [from, setFrom] = useState(input(low));
  const [to, setTo] = useState(input(high));
  const [error, fail] = useState<string | null>(null);
  const submit = (event: Event) => {
    event.preventDefault();
    const [first, last] = [read(from), read(to)];
    if (!first || !last || first >= last) return fail("From must be a time before to.");
    props.choose({ from: first, to: last });
    props.close();
  };
  return (
    <Dialog title="Time range" close={props.close}>
      <form class="stack" onSubmit={submit}>
        <label>From ({isUtc() ? "UTC" : "local time"})<input type="datetime-local" step="1" value={from} onInput={(e) => setFrom(e.currentTarget.value)} /></label>
        <label>To<input type="datetime-local" step="1" value={to} onInput={(e) => setTo(e.currentTarget.value)} /></label>
        <Failure error={error} />
        <footer><button class="primary">Use this range</button></footer>
      </form>
    </Dialog>
  );
}

export function TimePicker(props: { range: Range; choose: (range: Range) => void }) {
  const [open, show] = useState(false);
  const quick = SPANS.some(([from]) => from === props.range.from && !props.range.to);
  const limits = bounds(props.range);
  return (
    <div class="spans" role="group" aria-label="Time range">
      {SPANS.map(([from, title]) => (
        <button type="button" aria-pressed={!props.range.to && props.range.from === from} onClick={() => props.choose({ from, to: "" })}>{title}</button>
      ))}
      <button type="button" aria-pressed={!quick} onClick={() => show(true)}>
        {!quick && limits ? `${stamp(limits[0])} – ${stamp(limits[1])}` : "From … to"}
      </button>
      {open && <Absolute range={props.range} choose={props.choose} close={() => show(false)} />}
    </div>
  );
}
