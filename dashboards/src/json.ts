// JSON without loss: integers over 15 digits (sequence numbers, flow identities, cursors) do not
// fit a JavaScript number. They are read as text, and a cursor is written back digit by digit.
import type { Cursor, Json } from "./types";

/** Index just behind the string that begins at `start`. */
function stringEnd(text: string, start: number): number {
  for (let at = start + 1; at < text.length; at++) {
    const c = text.charCodeAt(at);
    if (c === 92) at++;
    else if (c === 34) return at + 1;
  }
  return text.length;
}

/** Quotes long integers outside strings. */
export function quoteLongIntegers(text: string): string {
  if (!/\d{16}/.test(text)) return text;
  const parts: string[] = [];
  let at = 0;
  while (at < text.length) {
    let quote = text.indexOf('"', at);
    if (quote < 0) quote = text.length;
    parts.push(text.slice(at, quote).replace(/(?<![\d.eE+])-?\d{16,}(?![\d.eE])/g, '"$&"'));
    at = quote < text.length ? stringEnd(text, quote) : quote;
    parts.push(text.slice(quote, at));
  }
  return parts.join("");
}

export function parse(text: string): Json {
  return JSON.parse(quoteLongIntegers(text)) as Json;
}

/** The cursor as JSON numbers, exactly as they were read. */
export function writeCursor(cursor: Cursor): string {
  const digits = (value: number | string) => {
    const text = String(value);
    if (!/^-?\d+$/.test(text)) throw new Error("not a cursor");
    return text;
  };
  return `{"time":${digits(cursor.time)},"tie":${digits(cursor.tie)}}`;
}
