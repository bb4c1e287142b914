// Text for eyes: attacker-written strings with their control characters made visible, numbers,
// sizes and times. Everything ends in text nodes, never in markup.
import type { ComponentChildren } from "preact";

// C0, DEL, C1, zero-width, bidirectional and other invisible characters, lone surrogates.
const HIDDEN =
  /[\u0000-\u0008\u000b\u000c\u000e-\u001f\u007f-\u009f\u00ad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180f\u200b-\u200f\u2028-\u202f\u205f-\u206f\u3164\ufe00-\ufe0f\ufeff\uffa0\ufff0-\ufffb\u{e0000}-\u{e0fff}]|[\ud800-\udbff](?![\udc00-\udfff])|(?<![\ud800-\udbff])[\udc00-\udfff]/gu;
const BREAKS = /[\t\n\r]/g;

/** As programmers write it: every font has these letters, few have control pictures. */
function mark(c: string): string {
  const code = c.codePointAt(0) ?? 0;
  const known = { 9: "\\t", 10: "\\n", 13: "\\r" }[code];
  if (known) return known;
  const digits = code.toString(16);
  if (code < 0x100) return `\\x${digits.padStart(2, "0")}`;
  return code > 0xffff ? `\\u{${digits}}` : `\\u${digits.padStart(4, "0")}`;
}

/** The string with everything invisible made visible; for attributes and one-line places. */
export function plain(text: string): string {
  return text.replace(HIDDEN, mark).replace(BREAKS, mark);
}

/** A string of unknown origin; `lines` keeps line breaks. */
export function Text(props: { value: unknown; lines?: boolean; max?: number }) {
  const whole = typeof props.value === "string" ? props.value : String(props.value ?? "");
  const max = props.max ?? 20_000;
  const text = whole.length > max ? whole.slice(0, max) : whole;
  const parts: ComponentChildren[] = [];
  let from = 0;
  const pattern = props.lines ? HIDDEN : new RegExp(`${HIDDEN.source}|${BREAKS.source}`, "gu");
  for (const found of text.matchAll(pattern)) {
    if (found.index > from) parts.push(text.slice(from, found.index));
    const code = (found[0].codePointAt(0) ?? 0).toString(16).toUpperCase().padStart(4, "0");
    parts.push(<span class="ctl" title={`U+${code}`}>{mark(found[0])}</span>);
    from = found.index + found[0].length;
  }
  parts.push(text.slice(from));
  if (whole.length > max) parts.push(<span class="ctl">{` … ${number(whole.length - max)} more characters`}</span>);
  return <bdi>{parts}</bdi>;
}

export function number(value: number | string): string {
  const count = Number(value);
  return Number.isFinite(count) ? count.toLocaleString("en-US") : String(value);
}

export function short(value: number): string {
  return Intl.NumberFormat("en-US", { notation: "compact", maximumFractionDigits: 1 }).format(value);
}

export function bytes(value: number): string {
  const units = ["B", "KiB", "MiB", "GiB", "TiB"];
  let size = Number(value) || 0;
  let unit = 0;
  while (size >= 1024 && unit < units.length - 1) {
    size /= 1024;
    unit++;
  }
  return `${size < 10 && unit > 0 ? size.toFixed(1) : Math.round(size)} ${units[unit]}`;
}

export function seconds(value: number): string {
  const s = Math.max(0, Math.round(value));
  if (s < 60) return `${s} s`;
  if (s < 3600) return `${Math.floor(s / 60)} min`;
  if (s < 86_400) return `${Math.floor(s / 3600)} h ${Math.floor((s % 3600) / 60)} min`;
  return `${Math.floor(s / 86_400)} d ${Math.floor((s % 86_400) / 3600)} h`;
}

/** Milliseconds of an API time, NaN when it is none. */
export function millis(time: string): number {
  return Date.parse(time.replace(/(\.\d{3})\d*/, "$1").replace(/([+-]\d\d)(\d\d)$/, "$1:$2"));
}

let utc = false;
try {
  utc = localStorage.getItem("pikett.utc") === "1";
} catch {
  /* no storage: local time */
}
export const isUtc = () => utc;
export function setUtc(on: boolean): void {
  utc = on;
  try {
    localStorage.setItem("pikett.utc", on ? "1" : "0");
  } catch {
    /* not kept then */
  }
}

const two = (value: number, width = 2) => String(value).padStart(width, "0");

/** `2026-11-22 15:04:05.123` in the zone the reader chose. */
export function stamp(ms: number, precise = false): string {
  if (!Number.isFinite(ms)) return "–";
  const shifted = new Date(utc ? ms : ms - new Date(ms).getTimezoneOffset() * 60_000);
  const day = `${shifted.getUTCFullYear()}-${two(shifted.getUTCMonth() + 1)}-${two(shifted.getUTCDate())}`;
  const clock = `${two(shifted.getUTCHours())}:${two(shifted.getUTCMinutes())}:${two(shifted.getUTCSeconds())}`;
  return `${day} ${clock}${precise ? `.${two(shifted.getUTCMilliseconds(), 3)}` : ""}`;
}

export function Time(props: { value: string | null | undefined; precise?: boolean; ago?: boolean }) {
  if (!props.value) return <span class="muted">never</span>;
  const ms = millis(props.value);
  const title = `${new Date(ms).toISOString()} (UTC)`;
  const shown = props.ago ? `${seconds((Date.now() - ms) / 1000)} ago` : stamp(ms, props.precise);
  return <time title={props.ago ? `${stamp(ms)} · ${title}` : title}>{shown}</time>;
}
