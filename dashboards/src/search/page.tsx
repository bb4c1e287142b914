// The search page: query, time, histogram, facets, table, event; its whole state is the address.
import { useEffect, useMemo, useRef, useState } from "preact/hooks";
import { ApiError, get, search } from "../api";
import { go, link } from "../hash";
import { RedactDialog, type Asked } from "../redact/dialog";
import { beforeStages, csv, field, narrow, term } from "../query";
import { number } from "../text";
import type { Aggregated, Cursor, FieldInfo, Hit, Order, SearchRequest, SearchResponse, Table } from "../types";
import type { Rights } from "../app";
import { attempt, Empty, Failure, Loading, say, useFetched, useKeys } from "../ui";
import { QueryBar } from "./bar";
import { Chart, type Histogram } from "./chart";
import { Detail } from "./detail";
import { Facets, FACETS } from "./facets";
import { Complete, Notes } from "./notes";
import { Result, tableCsv } from "./result";
import { Saved } from "./saved";
import { Rows } from "./table";
import { useTail } from "./tail";
import { bounds, TimePicker, type Range } from "./time";

const AT_ONCE = 100;
const EXPORTED = 10_000;

function request(query: string, range: Range, order: Order, limit: number): SearchRequest {
  const made: SearchRequest = { query, limit, order };
  if (range.from) made.from = range.from;
  if (range.to) made.to = range.to;
  return made;
}

function useSearch(query: string, range: Range, order: Order, turn: number) {
  const [answer, setAnswer] = useState<SearchResponse | null>(null);
  const [hits, setHits] = useState<Hit[]>([]);
  const [next, setNext] = useState<Cursor | null>(null);
  const [error, fail] = useState<ApiError | null>(null);
  const [busy, work] = useState(false);
  const [shown, setShown] = useState<[number, number] | null>(null);
  useEffect(() => {
    const abort = new AbortController();
    work(true);
    const groups: SearchRequest["aggregations"] = [{ type: "histogram" }, ...FACETS.map((field) => ({ type: "terms" as const, field, size: 8 }))];
    const limits = bounds(range);
    search({ ...request(query, range, order, AT_ONCE), aggregations: groups }, abort.signal).then((got) => {
      setAnswer(got);
      setHits(got.hits);
      setNext(got.next);
      setShown(limits);
      fail(null);
      work(false);
    }, (problem) => {
      if (abort.signal.aborted) return;
      // Results of the query before would pass for results of this one.
      setAnswer(null);
      setHits([]);
      setNext(null);
      fail(problem instanceof ApiError ? problem : new ApiError(0, "unknown", String(problem)));
      work(false);
    });
    return () => abort.abort();
  }, [query, range.from, range.to, order, turn]);
  const more = async () => {
    if (!next) return;
    await attempt(async () => {
      const got = await search({ ...request(query, range, order, AT_ONCE), after: next });
      setHits((old) => [...old, ...got.hits]);
      setNext(got.next);
    });
  };
  return { answer, hits, next, error, busy, more, shown };
}

/** Where everything the search finds comes from, as lines of JSON that are made while they are taken. */
function exported(query: string, range: Range, order: Order): string {
  const asked = new URLSearchParams({ query, order });
  if (range.from) asked.set("from", range.from);
  if (range.to) asked.set("to", range.to);
  return `/api/v1/export?${asked}`;
}

/** What the search finds, of times that stand still while somebody looks at what would go. */
function frozen(query: string, range: Range): Asked {
  const both = bounds(range);
  const [from, to] = both ? both.map((ms) => new Date(ms).toISOString()) : [range.from, range.to || new Date().toISOString()];
  return { query: query.trim() || "*", ...(from ? { from } : {}), ...(to ? { to } : {}) };
}

function save(text: string) {
  const address = URL.createObjectURL(new Blob([text], { type: "text/csv" }));
  const anchor = document.createElement("a");
  anchor.href = address;
  anchor.download = `pikett-events-${new Date().toISOString().slice(0, 19).replace(/:/g, "")}.csv`;
  anchor.click();
  setTimeout(() => URL.revokeObjectURL(address), 10_000);
}

async function download(query: string, range: Range, order: Order, table: Table | undefined) {
  if (table) {
    save(tableCsv(table));
    return say(`${number(table.rows.length)} rows exported`);
  }
  const got = await search(request(query, range, order, EXPORTED));
  save(csv(got.hits.map((hit) => hit.document)));
  say(got.next ? `The ${order} ${number(got.hits.length)} of ${number(got.total)} events were exported; "Export all" has the rest.` : `${number(got.hits.length)} events exported`);
}

export function SearchPage(props: { params: URLSearchParams; rights: Rights }) {
  const query = props.params.get("q") ?? "";
  const range: Range = { from: props.params.get("from") ?? (props.params.has("all") ? "" : "now-24h"), to: props.params.get("to") ?? "" };
  const order: Order = props.params.get("order") === "oldest" ? "oldest" : "newest";
  const tailing = props.params.get("live") === "1";
  const chosen = props.params.get("event") ?? "";
  const [turn, again] = useState(0);
  const [paused, pause] = useState(false);
  const [saved, showSaved] = useState(false);
  const [redacting, redact] = useState<{ asked: Asked; documents: Hit["document"][] } | null>(null);
  const [, draw] = useState(0);
  const found = useSearch(query, range, order, turn);
  const live = useTail(tailing, paused, query);
  const fields = useFetched((signal) => get<FieldInfo[]>("/api/v1/fields", signal), []);
  const kept = useRef<{ id: string; document: Hit["document"] } | null>(null);

  const address = (change: Record<string, string | undefined>) => {
    const base = { q: query, from: range.from, to: range.to, order, live: tailing ? "1" : "", event: chosen, ...change };
    return link("search", { ...base, order: base.order === "oldest" ? "oldest" : "", all: base.from || base.to ? "" : "1" });
  };
  const set = (change: Record<string, string | undefined>) => go(address({ event: "", ...change }));
  const choose = (id: string) => go(address({ event: id === chosen ? "" : id }), true);
  const add = (name: string, value: string, not: boolean) => set({ q: narrow(query, term(name, value), not) });

  const rows = tailing ? live.rows : found.hits;
  const at = rows.findIndex((row) => row.id === chosen);
  if (at >= 0) kept.current = rows[at]!;
  const open = chosen && kept.current?.id === chosen ? kept.current : null;
  // An event named in the address but not on this page is fetched by its identity.
  useEffect(() => {
    if (!chosen || open || found.busy) return;
    search({ query: term("event.id", chosen), limit: 1 }).then((got) => {
      if (got.hits[0]) {
        kept.current = got.hits[0];
        draw((n) => n + 1);
      }
    }, () => {});
  }, [chosen, found.busy]);

  useKeys((event) => {
    const step = event.key === "j" ? 1 : event.key === "k" ? -1 : 0;
    const target = rows[Math.max(0, Math.min(rows.length - 1, at + step))];
    if (step && target && target.id !== chosen) choose(target.id);
    else if (event.key === "Escape" && chosen) choose(chosen);
    else if (event.key === "l") set({ live: tailing ? "" : "1" });
  });
  const histogram = useMemo(() => found.answer?.aggregations.find((one): one is Histogram => one.type === "histogram"), [found.answer]);
  const groups: Aggregated[] = found.answer?.aggregations ?? [];
  const reasons = link("complete", { from: range.from || "1970-01-01", to: range.to || "now" });
  const table = tailing ? undefined : found.answer?.table;
  const column = found.error && (found.error.code === "bad_request") ? found.error : null;
  return (
    <div class={open ? "search with-detail" : "search"}>
      <h1 class="hide">Search</h1>
      <div class="controls">
        <QueryBar query={query} fields={fields.value ?? []} error={column} busy={found.busy} run={(text) => (text === query ? again((n) => n + 1) : set({ q: text }))} />
        <div class="row">
          <TimePicker range={range} choose={(next) => set({ ...next })} />
          <span class="spacer" />
          <button type="button" aria-pressed={tailing} onClick={() => set({ live: tailing ? "" : "1" })}>Live tail</button>
          <button type="button" onClick={() => showSaved(true)}>Kept searches</button>
          <button type="button" disabled={!found.hits.length && !table?.rows.length} onClick={() => void attempt(() => download(query, range, order, table))}>Export CSV</button>
          {props.rights.admin && !tailing && !table && <button type="button" class="danger" disabled={!found.hits.length} onClick={() => redact({ asked: frozen(beforeStages(query), range), documents: found.hits.map((hit) => hit.document) })}>Redact these events</button>}
          <a class="button" href={exported(query, range, order)} download="pikett-export.ndjson">Export all</a>
        </div>
      </div>
      {found.error && !column && <Failure error={found.error.message} again={() => again((n) => n + 1)} />}
      {!tailing && found.answer && <Notes answer={found.answer} />}
      {saved && <Saved query={query} range={range} may={props.rights.tune} user={props.rights.user} close={() => showSaved(false)} open={(one) => set({ q: one.query, from: one.from ?? "", to: one.to ?? "", live: "" })} />}
      {redacting && <RedactDialog {...redacting} close={() => redact(null)} done={() => again((n) => n + 1)} />}
      {table && found.answer && <p class="small muted" role="status">Of {number(found.answer.total)} events. <Complete completeness={found.answer.completeness} all={reasons} /></p>}
      {table && <Result table={table} narrow={(name, value, not) => set({ q: narrow(beforeStages(query), term(name, value), not) })} />}
      {!tailing && !table && histogram && histogram.buckets.length > 0 && <Chart histogram={histogram} range={found.shown} brushed={(from, to) => set({ from: new Date(from).toISOString(), to: new Date(to).toISOString() })} />}
      {!table && <div class="columns">
        {!tailing && <Facets found={groups} total={found.answer?.total ?? 0} narrow={add} />}
        <section class="results" aria-label="Events">
          {tailing ? (
            <p class="row small" role="status">
              <strong>{live.state}</strong> <span class="muted">{number(live.arrived)} arrived{live.lost > 0 && `, ${number(live.lost)} too fast to show (they are stored)`}</span>
              <button type="button" onClick={() => pause(!paused)}>{paused ? "Go on" : "Pause"}</button>
            </p>
          ) : found.answer && <p class="small muted" role="status">{number(found.answer.total)}{found.answer.partial ? " or more" : ""} events{found.busy && ", searching…"}. <Complete completeness={found.answer.completeness} all={reasons} /></p>}
          {!found.answer && found.busy && !tailing && <Loading />}
          {rows.length > 0 && <Rows rows={rows} chosen={chosen} choose={choose} {...(tailing ? {} : { order, turn: (next: Order) => set({ order: next }) })} />}
          {tailing && rows.length === 0 && <Empty title="Waiting for the next event that matches.">Events appear here as they are stored.</Empty>}
          {!tailing && found.answer && rows.length === 0 && (
            <Empty title="No event matches.">
              {query || range.from ? <>Take a term out, or <button type="button" class="linkish" onClick={() => set({ from: "", to: "" })}>search all times</button>.</> : <>Nothing has arrived yet. <a href="#/agents">Enrol an agent</a>, or send events to <code>/_bulk</code> with a token.</>}
            </Empty>
          )}
          {!tailing && found.next && <button type="button" class="more" onClick={() => void found.more()}>Show {AT_ONCE} more</button>}
        </section>
        {open && <Detail key={field(open.document, "event.id")} document={open.document} close={() => choose(chosen)} narrow={add} {...(props.rights.admin ? { redact: () => redact({ asked: { query: term("event.id", field(open.document, "event.id")) }, documents: [open.document] }) } : {})} />}
      </div>}
    </div>
  );
}
