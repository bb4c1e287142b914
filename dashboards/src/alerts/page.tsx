// The alert inbox: list and one alert side by side, worked by keyboard or pointer.
import { useEffect, useRef, useState } from "preact/hooks";
import type { Rights } from "../app";
import { get, post } from "../api";
import { go, link } from "../hash";
import { number, plain, Text, Time } from "../text";
import { SEVERITIES, type Alert, type Verdict } from "../types";
import { attempt, Badge, Dialog, Empty, Failure, Loading, say, SeverityBadge, useFetched, useKeys } from "../ui";
import { AlertDetail } from "./detail";

const LIMIT = 300;
export const VERDICTS: [Verdict, string, string][] = [
  ["true_positive", "True positive", "an attack or a breach of the rules"],
  ["benign", "Benign", "the rule is right, but this is harmless"],
  ["false_positive", "False positive", "the rule is wrong"],
];

export interface Act { (ids: string[], action: "acknowledge" | "close" | "reopen", verdict?: Verdict, note?: string): Promise<void> }

export function CloseDialog(props: { title: string; done: (verdict: Verdict, note: string) => void; close: () => void }) {
  return (
    <Dialog title="Close alert" close={props.close}>
      <form class="stack" onSubmit={(event) => {
        event.preventDefault();
        const form = new FormData(event.currentTarget as HTMLFormElement);
        props.done(form.get("verdict") as Verdict, String(form.get("note") ?? ""));
        props.close();
      }}>
        <p><Text value={props.title} max={200} /></p>
        <fieldset><legend>What was it?</legend>
          {VERDICTS.map(([value, title, hint], n) => (
            <label class="choice"><input type="radio" name="verdict" value={value} required autofocus={n === 0} /><span><strong>{title}</strong> <span class="muted">{hint}</span></span></label>
          ))}
        </fieldset>
        <label>Note for the history<textarea name="note" rows={3} maxLength={2000} placeholder="What you found and did" /></label>
        <footer><button type="button" onClick={props.close}>Cancel</button><button class="primary">Close alert</button></footer>
      </form>
    </Dialog>
  );
}

interface RowProps { alert: Alert; current: boolean; cursor: boolean; picked: boolean; pick: () => void; open: () => void }
function AlertRow(props: RowProps) {
  const { alert } = props;
  return (
    <tr aria-selected={props.current} class={`s-${alert.severity}${props.cursor ? " cursor" : ""}`} onClick={props.open}>
      <td onClick={(event) => event.stopPropagation()}><input type="checkbox" checked={props.picked} onChange={props.pick} aria-label={`Select ${plain(alert.title).slice(0, 80)}`} /></td>
      <td><SeverityBadge severity={alert.severity} /></td>
      <td class="grow"><button type="button" class="linkish title"><Text value={alert.title} max={200} /></button>
        <div class="small muted"><span class="mono"><Text value={alert.entity.value} max={80} /></span> {plain(alert.entity.field)}{alert.hosts.length > 0 && ` · on ${plain(alert.hosts.slice(0, 3).join(", "))}`}</div></td>
      <td class="num" title="Detections">×{number(alert.count)}</td>
      <td class="nowrap small" title="Last detection"><Time value={alert.last} ago /></td>
      <td class="small"><Badge kind={alert.status}>{alert.status}</Badge>{alert.owner && <div class="muted">{plain(alert.owner)}</div>}</td>
    </tr>
  );
}

function Filters(props: { params: URLSearchParams }) {
  const status = props.params.get("status") ?? "live";
  const severity = props.params.get("severity") ?? "";
  const text = props.params.get("text") ?? "";
  const [typed, type] = useState(text);
  useEffect(() => type(text), [text]);
  const set = (change: Record<string, string>) => go(link("alerts", { status, severity, text, ...change }), true);
  return (
    <form class="row" role="search" onSubmit={(event) => { event.preventDefault(); set({ text: typed }); }}>
      <div class="spans" role="group" aria-label="Status">
        {[["live", "Live"], ["open", "Open"], ["acknowledged", "Acknowledged"], ["closed", "Closed"], ["all", "All"]].map(([value, title]) => (
          <button type="button" aria-pressed={status === value} onClick={() => set({ status: value! })}>{title}</button>
        ))}
      </div>
      <select aria-label="Least severity" value={severity} onChange={(event) => set({ severity: event.currentTarget.value })}>
        <option value="">Any severity</option>
        {SEVERITIES.slice(1).map((one) => <option value={one}>{one}{one === "critical" ? "" : " and above"}</option>)}
      </select>
      <input data-main-input class="grow" type="search" aria-label="Text in title, rule or entity" placeholder="Title, rule or entity ( / )" value={typed}
        onInput={(event) => type(event.currentTarget.value)} onChange={(event) => set({ text: event.currentTarget.value })} />
    </form>
  );
}

function useActs(again: () => void, clear: () => void): Act {
  return async (ids, action, verdict, note = "") => {
    let done = 0;
    for (const id of ids) {
      const body = { action, note, ...(verdict ? { verdict } : {}) };
      if (await attempt(() => post(`/api/v1/alerts/${encodeURIComponent(id)}/action`, body))) done++;
    }
    const past = { acknowledge: "acknowledged", close: "closed", reopen: "reopened" }[action];
    if (done) say(`${done === 1 ? "Alert" : `${done} alerts`} ${past}`);
    clear();
    again();
  };
}

export function AlertsPage(props: { id: string; params: URLSearchParams; rights: Rights }) {
  const filter = { status: props.params.get("status") ?? "", severity: props.params.get("severity") ?? "", text: props.params.get("text") ?? "" };
  const asked = new URLSearchParams(Object.entries(filter).filter(([, value]) => value));
  asked.set("limit", String(LIMIT));
  const list = useFetched((signal) => get<{ total: number; alerts: Alert[] }>(`/api/v1/alerts?${asked}`, signal), [asked.toString()], 5_000);
  const [picked, pick] = useState<ReadonlySet<string>>(new Set());
  const [cursor, move] = useState(0);
  const [closing, close] = useState<string | null>(null);
  const [changed, change] = useState(0);
  const body = useRef<HTMLTableSectionElement>(null);
  const act = useActs(() => { list.again(); change((n) => n + 1); }, () => pick(new Set()));
  const rows = list.value?.alerts ?? [];
  const open = (id: string) => go(link("alerts", filter, id));
  const toggle = (id: string) => {
    const next = new Set(picked);
    if (!next.delete(id)) next.add(id);
    pick(next);
  };
  const at = props.id ? rows.findIndex((one) => one.id === props.id) : Math.min(cursor, rows.length - 1);
  useEffect(() => { if (at >= 0) move(at); }, [at]);
  const row = rows[at];
  useEffect(() => {
    body.current?.querySelector(".cursor")?.scrollIntoView({ block: "nearest" });
  }, [cursor]);
  const chosen = [...picked].filter((id) => rows.some((one) => one.id === id));
  const openOnes = (ids: string[]) => ids.filter((id) => rows.find((one) => one.id === id)?.status === "open");
  const acknowledge = () => {
    // An opened alert may have left the list already; the collector then judges.
    const ids = chosen.length ? openOnes(chosen) : props.id && !row ? [props.id] : row?.status === "open" ? [row.id] : [];
    if (ids.length && props.rights.respond) void act(ids, "acknowledge");
  };
  useKeys((event) => {
    const step = event.key === "j" || event.key === "ArrowDown" ? 1 : event.key === "k" || event.key === "ArrowUp" ? -1 : 0;
    const target = (event.target as HTMLElement).closest("button, a, summary");
    if (step) {
      event.preventDefault();
      const next = Math.max(0, Math.min(rows.length - 1, (at < 0 ? cursor : at) + step));
      move(next);
      if (props.id && rows[next]) go(link("alerts", filter, rows[next]!.id), true);
    } else if (event.key === "Enter" && row && !target) open(row.id);
    else if (event.key === "x" && row) toggle(row.id);
    else if (event.key === "a") acknowledge();
    else if (event.key === "c" && props.rights.respond && (props.id || (row && row.status !== "closed"))) close(props.id || row!.id);
    else if (event.key === "Escape" && props.id) go(link("alerts", filter));
  });
  const closingAlert = rows.find((one) => one.id === closing);
  return (
    <div class={props.id ? "inbox with-detail" : "inbox"}>
      <section class="list" aria-label="Alerts">
        <h1 class="hide">Alerts</h1>
        <Filters params={props.params} />
        <div class="row small">
          <span class="muted" role="status">{list.value ? `${number(list.value.total)} alerts${list.value.total > rows.length ? `, the newest ${rows.length} shown` : ""}` : ""}</span>
          <span class="spacer" />
          {chosen.length > 0 && <>
            <span>{chosen.length} selected</span>
            {props.rights.respond && <button type="button" class="primary" disabled={!openOnes(chosen).length} onClick={acknowledge}>Acknowledge {openOnes(chosen).length} (a)</button>}
            <button type="button" onClick={() => pick(new Set())}>Clear</button>
          </>}
        </div>
        <Failure error={list.error} again={list.again} />
        {!list.value && !list.error && <Loading />}
        {rows.length > 0 && (
          <table class="rows alerts">
            <thead><tr>
              <th><input type="checkbox" aria-label="Select all" checked={chosen.length === rows.length} onChange={() => pick(chosen.length === rows.length ? new Set() : new Set(rows.map((one) => one.id)))} /></th>
              <th scope="col">Severity</th><th scope="col">Alert</th><th scope="col" class="num">Count</th><th scope="col">Last</th><th scope="col">Status</th>
            </tr></thead>
            <tbody ref={body}>{rows.map((alert, n) => (
              <AlertRow key={alert.id} alert={alert} current={alert.id === props.id} cursor={n === at} picked={picked.has(alert.id)} pick={() => toggle(alert.id)} open={() => open(alert.id)} />
            ))}</tbody>
          </table>
        )}
        {list.value && rows.length === 0 && (
          filter.text || filter.severity || (filter.status && filter.status !== "live")
            ? <Empty title="No alert fits these filters."><button type="button" class="linkish" onClick={() => go(link("alerts"))}>Show all live alerts</button></Empty>
            : <Empty title="No live alerts.">All quiet, or nothing is watching: <a href="#/agents">see whether every agent is online and its rules are loaded</a>.</Empty>
        )}
      </section>
      {props.id && <AlertDetail key={props.id} id={props.id} rights={props.rights} act={act} changed={changed} leave={() => go(link("alerts", filter))} askClose={() => close(props.id)} />}
      {closing && <CloseDialog title={closingAlert?.title ?? document.querySelector<HTMLElement>(".detail h2")?.innerText ?? ""} close={() => close(null)} done={(verdict, note) => void act([closing], "close", verdict, note)} />}
    </div>
  );
}
