// Building queries from clicks, and lines for people from documents.
import { bytes } from "./text";
import type { Document, Json } from "./types";

export function quote(value: string): string {
  return `"${value.replace(/[\\"]/g, "\\$&")}"`;
}

export function term(field: string, value: string): string {
  if (value === "") return `${field}:*`;
  return `${field}:${/^[A-Za-z0-9_.]+$/.test(value) && !/^(AND|OR|NOT|TO)$/.test(value) ? value : quote(value)}`;
}

/** The query without its stages: up to the first `|` that stands in no quotes and is no `||`. */
export function beforeStages(query: string): string {
  let quoted = false;
  for (let at = 0; at < query.length; at++) {
    const letter = query[at];
    if (letter === "\\") at++;
    else if (letter === '"') quoted = !quoted;
    else if (letter === "|" && !quoted && query[at + 1] === "|") at++;
    else if (letter === "|" && !quoted) return query.slice(0, at).trim();
  }
  return query;
}

/** `query` narrowed by a term, or by its opposite; for the events, so without its stages. */
export function narrow(query: string, addition: string, not = false): string {
  const part = not ? `NOT ${addition}` : addition;
  const old = beforeStages(query).trim();
  if (old === "" || old === "*") return part;
  if (old === part || old.endsWith(` AND ${part}`) || old.startsWith(`${part} AND `)) return old;
  const loose = /\bOR\b|\|\|/.test(old) && !/^\([^()]*\)$/.test(old);
  return `${loose ? `(${old})` : old} AND ${part}`;
}

/** Dotted names with their values; lists become several lines of the same name. */
export function flatten(document: Document): [string, string][] {
  const found: [string, string][] = [];
  const walk = (name: string, value: Json, depth: number) => {
    if (found.length > 2_000) return;
    if (Array.isArray(value)) {
      for (const one of value) walk(name, one, depth + 1);
    } else if (value !== null && typeof value === "object" && depth < 32) {
      for (const [key, inner] of Object.entries(value)) walk(name ? `${name}.${key}` : key, inner, depth + 1);
    } else {
      found.push([name, typeof value === "string" ? value : JSON.stringify(value)]);
    }
  };
  walk("", document, 0);
  return found;
}

/** First value under a dotted name, nested or flat; empty when there is none. */
export function field(document: Document, name: string): string {
  let value: Json | undefined = document[name];
  if (value === undefined) {
    value = document;
    for (const key of name.split(".")) {
      value = value !== null && typeof value === "object" && !Array.isArray(value) ? value[key] : undefined;
      if (value === undefined) return "";
    }
  }
  if (Array.isArray(value)) value = value[0];
  if (value === null || value === undefined) return "";
  return typeof value === "object" ? JSON.stringify(value) : String(value);
}

export function endpoints(document: Document): string {
  const end = (ip: string, port: string) => (ip.includes(":") && port ? `[${ip}]:${port}` : port ? `${ip}:${port}` : ip);
  const from = end(field(document, "src_ip"), field(document, "src_port"));
  const to = end(field(document, "dest_ip"), field(document, "dest_port"));
  return from && to ? `${from} → ${to}` : from || to;
}

type Pick = (name: string) => string;
const join = (parts: (string | false)[], by = " · ") => parts.filter(Boolean).join(by);
const size = (text: string) => (text ? bytes(Number(text)) : "");

function dns(get: Pick): string {
  const name = get("dns.rrname") || get("dns.queries.rrname");
  const code = get("dns.rcode");
  const answer = get("dns.answers.rdata");
  return join([join([get("dns.type"), get("dns.rrtype"), name], " "), code !== "NOERROR" && code, answer && `→ ${answer}`]);
}

const LINES: Record<string, (get: Pick) => string> = {
  dns,
  http: (get) =>
    join([
      join([get("http.http_method"), `${get("http.hostname")}${get("http.url")}`, get("http.status") && `→ ${get("http.status")}`], " "),
      size(get("http.length")),
      get("http.http_user_agent"),
    ]),
  tls: (get) => join([get("tls.sni") || "(no server name)", get("tls.version"), get("tls.subject"), get("tls.ja4")]),
  flow: (get) =>
    join([
      join([get("proto"), get("app_proto")], "/"),
      `↑ ${size(get("flow.bytes_toserver")) || "0 B"} ↓ ${size(get("flow.bytes_toclient")) || "0 B"}`,
      get("flow.age") && `${get("flow.age")} s`,
      join([get("flow.state"), get("flow.reason")], ", "),
    ]),
  fileinfo: (get) => join([get("fileinfo.filename"), size(get("fileinfo.size")), get("fileinfo.sha256").slice(0, 16)]),
  alert: (get) =>
    join([
      get("detection.title") || get("alert.signature"),
      get("detection.severity"),
      get("detection.explanation") || get("alert.category"),
    ]),
  anomaly: (get) => join([get("anomaly.type"), get("anomaly.event")]),
  ssh: (get) => join([get("ssh.client.software_version"), get("ssh.server.software_version")], " → "),
};

/** One line that tells what happened. */
export function summary(document: Document): string {
  const get: Pick = (name) => field(document, name);
  const line = LINES[get("event_type")]?.(get);
  if (line && line !== "(no server name)") return line;
  const message = get("message") || get("event.original");
  if (message) return join([get("process.name") || get("log.syslog.appname"), message], ": ");
  const dull = /^(timestamp|event_type|event\.|agent\.|host\.|zone|region|src_|dest_|proto$|elastic\.)/;
  return flatten(document).filter(([name]) => !dull.test(name)).slice(0, 6).map(([name, value]) => `${name}=${value}`).join(" ");
}

/** A CSV cell: quoted, and never a formula. */
export function cell(value: string): string {
  const safe = /^[\s\u0000-\u001f]*[=+\-@\uff1d\uff0b\uff0d\uff20]/.test(value) || /^[\t\r\n]/.test(value) ? `'${value}` : value;
  return /[",\r\n']/.test(safe) ? `"${safe.replace(/"/g, '""')}"` : safe;
}

export const CSV_COLUMNS = ["timestamp", "event_type", "host.name", "user.name", "src_ip", "src_port", "dest_ip", "dest_port", "proto", "app_proto", "event.id"];

export function csv(documents: Document[]): string {
  const lines = documents.map((one) => [...CSV_COLUMNS.map((name) => field(one, name)), summary(one)].map(cell).join(","));
  return [[...CSV_COLUMNS, "summary"].join(","), ...lines].join("\r\n") + "\r\n";
}
