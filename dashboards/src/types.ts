// Shapes of the collector's API. Times are text as EVE writes them; integers too large for a
// JavaScript number arrive as text (see json.ts).

export type Json = string | number | boolean | null | Json[] | { [key: string]: Json };
export type Document = { [key: string]: Json };

export type Role = "viewer" | "responder" | "analyst" | "admin";
export interface Session { user: string; role: Role; csrf: string; must_change: boolean }

export interface Cursor { time: number | string; tie: number | string }
export interface Hit { id: string; cursor: Cursor; document: Document }
export type Aggregation =
  | { type: "histogram"; interval_seconds?: number }
  | { type: "terms"; field: string; size: number };
export interface TermBucket { value: string; count: number }
export type Aggregated =
  | { type: "histogram"; interval_seconds: number; buckets: { start: string; count: number }[] }
  | { type: "terms"; field: string; buckets: TermBucket[]; other: number };
export type Order = "newest" | "oldest";
export interface SearchRequest {
  query: string; from?: string; to?: string; limit: number; order?: Order; after?: Cursor;
  aggregations?: Aggregation[];
}
export interface SearchResponse {
  total: number; hits: Hit[]; next: Cursor | null; aggregations: Aggregated[];
  partial: boolean; failures: { partition: string; reason: string }[]; partitions: number;
  table?: Table; missing?: { reason: string; count: number | null; words: string }[];
  notes?: { column: number; words: string }[]; completeness: Completeness;
}
export interface Column { name: string; role: "time" | "group" | "value" }
export interface Table { columns: Column[]; rows: Json[][] }
export interface Completeness {
  state: "complete" | "arriving" | "incomplete"; more: number;
  reasons: { kind: string; subject: string; since: string | null; until: string | null; count: number | null; words: string; link: string }[];
}
export interface FieldInfo { name: string; alias: string; type: string; doc: string; events: number }
export interface Suggestion { text: string; kind: string; detail: string; events: number | null }
export interface Completion { from: number; to: number; items: Suggestion[] }
export interface SavedSearch {
  id: string; name: string; query: string; from: string | null; to: string | null;
  owner: string; shared: boolean; saved: string;
}

export const SEVERITIES = ["informational", "low", "medium", "high", "critical"] as const;
export type Severity = (typeof SEVERITIES)[number];
export type AlertStatus = "open" | "acknowledged" | "closed";
export type Verdict = "true_positive" | "benign" | "false_positive";
export interface Alert {
  id: string; engine: string; rule_id: string; title: string; severity: Severity; category: string;
  entity: { field: string; value: string }; count: number; first: string; last: string;
  created: string; explanation: string; advice: string; attack: string[]; rule_text: string;
  evidence: string[]; hosts: string[]; status: AlertStatus; verdict: Verdict | null;
  owner: string | null; timeline: { time: string; who: string; what: string }[];
}

export interface Ledger {
  seen: number; processed: number; shed: Record<string, number>; dropped: number; pending: number;
}
export interface Report {
  time: string; boot: number | string; started: string; version: string;
  ledgers: Record<string, Ledger>; last_seq: number; pending: number; spool_bytes: number;
  acknowledged: number; rejected: number; skipped: number;
  rules: Record<string, [number, number]>; inputs: string[]; problems: string[];
  resident_bytes: number; sources?: Source[];
}
export interface Source {
  name: string; lines: number; bytes: number; unparsed: number; header_only?: number; truncated: number; errors: number;
  shed: number; dropped: number; last_event: string | null; behind_bytes: number; position: string;
  peers?: { address: string; messages: number; unparsed: number }[]; peer_count?: number;
  further?: Record<string, number>;
  quiet_after_seconds?: number; quiet_learned?: boolean; silent_since?: string;
}
export interface Received { ledger: Ledger; sources: Source[] }
export interface Book {
  boot: string; given_out: number; stored: number; duplicates: number;
  skipped: Record<string, number>; rejected: number;
}
export type Health = "online" | "silent" | "new" | "revoked";
export interface AgentRow {
  agent: {
    id: string; host: string; version: string; zone: string; region: string; enrolled: string;
    expires: string; seen: string; address: string; revoked: boolean; report: Report | null;
    books: Book[];
  };
  health: Health; residue: number; seconds_since_seen: number;
}
export interface StoreFigures {
  intake: Ledger; index: Ledger; documents: number; partitions: number; log_bytes: number;
  index_bytes: number; input_bytes: number; log_records_lost: number; index_quarantined: number;
  segments: number; merges: number; merges_failed: number; repaired: number; retention_dropped: number; values_capped: number;
  summaries: { current: number; outdated: number; damaged: number; skipped_by_time: number; skipped_by_terms: number };
  warm: { partitions: number; bytes: number; missing: number; moved: number; failed: number; away: { folder: string; days: unknown[] } | null };
  problems: { path: string; offset: number; what: string; advice: string }[];
}

export type Channel = "mail" | "webhook";
export type Target = "on_call" | "next" | "everyone";
export interface Step { target: Target; channels: Channel[]; wait_seconds: number }
export interface Schedule {
  members: string[]; start: string; severity: Severity; steps: Step[]; rounds: number;
}
export interface OnCall {
  on_call: string | null; next: string | null; handover: string | null; schedule: Schedule | null;
}
export interface PageRow {
  page: {
    id: string; alerts: string[]; who: string; channel: Channel; step: number; round: number;
    created: string; due: string; attempts: { time: string; outcome: string }[];
    status: "pending" | "sent" | "failed"; acknowledged: [string, string] | null;
  };
  titles: string[];
}

export interface UserInfo {
  name: string; role: Role; mail: string; created: string; last_login: string | null;
  must_change: boolean;
}
export interface TokenInfo {
  name: string; scopes: string[]; created: string; by: string; expires: string | null;
}

export interface AuditRecord {
  number: number; time: number; by: "nobody" | "person" | "program" | "command" | "collector"; who: string; from: string;
  action: string; object: string; outcome: string; about: Record<string, string>;
}
export interface AuditChecked { time: number; upto: number; from: number; findings: { path: string; offset: number; what: string; advice: string }[] }
export interface AuditPage { records: AuditRecord[]; next: number | null; upto: number; checked: AuditChecked | null }

export type GoneBy = "age" | "size";
export interface UpkeepClass {
  class: string; partitions: number; bytes: number; warm_bytes: number; documents: number | null; days: number; oldest: string | null;
  bytes_a_day: number | null; keep_days: number | null; keep_bytes: number | null; lasts_days: number | null; limited_by: GoneBy | null;
  next: { partition: string; bytes: number; on: string; reason: GoneBy } | null;
}
export interface Folder { path: string; warm: boolean; there: boolean; partitions: number; bytes: number; free: number | null; size: number | null }
export interface Destroyed {
  partitions: number; documents: number; bytes: number;
  last: { partition: string; when: string; documents: number; bytes: number; reason: string; shredded: boolean; proof: { statement: string; signature: string } }[];
}
export interface Upkeep {
  classes: UpkeepClass[]; folders: Folder[]; destroyed: Destroyed | null;
  moves: { keep_days: number | null; keep_bytes: number | null; next: { partition: string; bytes: number; on: string | null; reason: GoneBy } | null } | null;
  lacking: { name: string; warm: boolean; standing: "searched" | "unreadable" | "away" }[];
}
