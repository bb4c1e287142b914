// One alert: why it fired, what to do, the events it rests on, its history.
import { useState } from "preact/hooks";
import type { Rights } from "../app";
import { get, search } from "../api";
import { ExceptionDialog } from "../exceptions/dialog";
import { link } from "../hash";
import { quote } from "../query";
import { Detail } from "../search/detail";
import { Rows } from "../search/table";
import { millis, number, plain, Text, Time } from "../text";
import type { Alert, Hit } from "../types";
import { Badge, Empty, Failure, Loading, SeverityBadge, useFetched, useKeys } from "../ui";
import { VERDICTS, type Act } from "./page";

const any = (ids: string[]) => `event.id:(${ids.map(quote).join(" OR ")})`;

function Evidence(props: { alert: Alert }) {
  const ids = props.alert.evidence;
  const [chosen, choose] = useState("");
  const found = useFetched(async (signal) => (ids.length ? (await search({ query: any(ids), limit: 64 }, signal)).hits : []), [ids.join(" ")]);
  const hits: Hit[] = found.value ?? [];
  const missing = ids.length - hits.length;
  const open = hits.find((hit) => hit.id === chosen);
  return (
    <section>
      <h3>Evidence <span class="muted small">{hits.length} of {ids.length} events</span></h3>
      <Failure error={found.error} again={found.again} />
      {!found.value && !found.error && <Loading />}
      {hits.length > 0 && <div class="scroll"><Rows rows={hits} chosen={chosen} choose={(id) => choose(id === chosen ? "" : id)} /></div>}
      {found.value && missing > 0 && <p class="muted small">{missing} are not in the store: not indexed yet, or older than the retention keeps.</p>}
      {ids.length > 0 && <p class="small"><a href={link("search", { q: any(ids), all: "1" })}>Open in search</a></p>}
      {open && <Detail document={open.document} close={() => choose("")} />}
    </section>
  );
}

function Around(props: { alert: Alert }) {
  const { entity, first, last } = props.alert;
  const from = new Date(millis(first) - 300_000).toISOString();
  const to = new Date(millis(last) + 300_000).toISOString();
  if (!entity.field || !entity.value) return null;
  return <a href={link("search", { q: `${entity.field}:${quote(entity.value)}`, from, to })}>All events of this entity, ±5 min</a>;
}

function Facts(props: { alert: Alert }) {
  const { alert } = props;
  return (
    <dl class="facts">
      <dt>Entity</dt><dd><span class="mono"><Text value={alert.entity.value} /></span> <span class="muted">{plain(alert.entity.field)}</span></dd>
      <dt>Detections</dt><dd>{number(alert.count)}, <Time value={alert.first} /> to <Time value={alert.last} /></dd>
      <dt>Seen by</dt><dd>{alert.hosts.length ? plain(alert.hosts.join(", ")) : "–"}</dd>
      <dt>Rule</dt><dd><span class="mono">{plain(alert.rule_id)}</span> <span class="muted">{plain(alert.engine)}{alert.category && `, ${plain(alert.category)}`}</span></dd>
      <dt>ATT&amp;CK</dt><dd>{alert.attack.length ? alert.attack.map((one) => <span class="chip mono" title={`attack.mitre.org/${one.startsWith("TA") ? "tactics" : "techniques"}/${plain(one).replace(".", "/")}`}>{plain(one)}</span>) : "–"}</dd>
      <dt>Owner</dt><dd>{alert.owner ? plain(alert.owner) : "nobody"}</dd>
    </dl>
  );
}

export function AlertDetail(props: { id: string; rights: Rights; act: Act; changed: number; leave: () => void; askClose: () => void }) {
  const found = useFetched((signal) => get<Alert>(`/api/v1/alerts/${encodeURIComponent(props.id)}`, signal), [props.id, props.changed], 5_000);
  const alert = found.value;
  const [excepting, except] = useState(false);
  const may = props.rights.tune && alert?.engine !== "health";
  useKeys((event) => { if (event.key === "e" && may) except(true); });
  const buttons = (one: Alert) => props.rights.respond ? (
    <div class="row wrap">
      {one.status === "open" && <button type="button" class="primary" onClick={() => void props.act([one.id], "acknowledge")}>Acknowledge <kbd>a</kbd></button>}
      {one.status !== "closed" && <button type="button" onClick={props.askClose}>Close <kbd>c</kbd></button>}
      {one.status === "closed" && <button type="button" onClick={() => void props.act([one.id], "reopen")}>Reopen</button>}
      {may && <button type="button" onClick={() => except(true)}>Make an exception <kbd>e</kbd></button>}
    </div>
  ) : <p class="muted small">Your role may look, not change: ask an administrator for the role responder.</p>;
  return (
    <section class="detail" aria-label="Alert">
      <header>
        <h2>{alert ? <Text value={alert.title} max={300} /> : "Alert"}</h2>
        <button type="button" class="icon" aria-label="Close the alert's page" onClick={props.leave}>✕</button>
      </header>
      {!alert && !found.error && <Loading />}
      {!alert && found.error && <Empty title="This alert cannot be shown.">{plain(found.error)}. <a href="#/alerts">Back to the inbox</a></Empty>}
      {alert && <>
        <Failure error={found.error} />
        <p class="row"><SeverityBadge severity={alert.severity} /><Badge kind={alert.status}>{alert.status}</Badge>
          {alert.verdict && <Badge kind={alert.verdict}>{VERDICTS.find(([value]) => value === alert.verdict)?.[1]}</Badge>}</p>
        {buttons(alert)}
        <section><h3>Why</h3><p class="lead"><Text value={alert.explanation || "The rule gives no explanation."} lines /></p></section>
        {alert.advice && <section class="advice"><h3>What to do</h3><p><Text value={alert.advice} lines /></p></section>}
        <Facts alert={alert} />
        <p><Around alert={alert} /></p>
        <Evidence alert={alert} />
        {alert.rule_text && <details><summary>Text of the rule</summary><pre class="raw" tabIndex={0}><Text value={alert.rule_text} lines /></pre></details>}
        <section><h3>History</h3>
          <ol class="timeline">{[...alert.timeline].reverse().map((entry) => (
            <li><Time value={entry.time} /> <strong>{plain(entry.who)}</strong> <Text value={entry.what} lines /></li>
          ))}</ol></section>
        {excepting && <ExceptionDialog alert={alert.id} rights={props.rights} close={() => except(false)} done={() => { except(false); found.again(); }} />}
      </>}
    </section>
  );
}
