// Agents: state, versions, lag, and where anything was lost between the wire and the index.
import { useState } from "preact/hooks";
import type { Rights } from "./app";
import { get, post } from "./api";
import { bytes, number, plain, seconds, Text, Time } from "./text";
import { Bar, LedgerTable, Legend, lost, percent } from "./ledger";
import { Sources } from "./sources";
import type { AgentRow, Ledger, Received, StoreFigures } from "./types";
import { attempt, Badge, Dialog, Empty, Failure, Loading, Reveal, say, useFetched } from "./ui";
import { words } from "./api";

function worst(ledgers: Record<string, Ledger>): [Ledger, string] | null {
  let found: [Ledger, string] | null = null;
  for (const [name, one] of Object.entries(ledgers)) if (one.seen > 0 && (!found || lost(one) > lost(found[0]))) found = [one, name];
  return found;
}

function Enrol(props: { close: () => void }) {
  const [made, set] = useState<{ command: string; expires: string } | null>(null);
  const submit = (event: SubmitEvent) => {
    event.preventDefault();
    const minutes = Number(new FormData(event.currentTarget as HTMLFormElement).get("minutes"));
    post<{ command: string; expires: string }>("/api/v1/enrolments", { minutes }).then(set, (error) => say(words(error), true));
  };
  if (made) return <Reveal title="Run this on the host" text={`sudo ${made.command}`} close={props.close}
    hint="It works once, for one host, until it expires, and is not shown again. The agent's certificate is made from it; then start the service pikett-agent." />;
  return (
    <Dialog title="Enrol an agent" close={props.close}>
      <form class="stack" onSubmit={submit}>
        <p>Install the package <code>pikett-agent</code> on the host first. A one-time token then lets it in.</p>
        <label>The token works for<select name="minutes"><option value="60">1 hour</option><option value="1440">1 day</option><option value="10080">1 week</option></select></label>
        <footer><button type="button" onClick={props.close}>Cancel</button><button class="primary">Make the command</button></footer>
      </form>
    </Dialog>
  );
}

function More(props: { row: AgentRow; rights: Rights; again: () => void }) {
  const { agent } = props.row;
  const report = agent.report;
  const revoke = async () => {
    const words = agent.revoked ? `Let ${agent.id} connect again?` : `Revoke ${agent.id}? It can no longer connect; its events wait in its spool.`;
    if (!confirm(words)) return;
    if (await attempt(() => post(`/api/v1/agents/${encodeURIComponent(agent.id)}`, { revoked: !agent.revoked }), agent.revoked ? "Readmitted" : "Revoked")) props.again();
  };
  const skipped = agent.books.flatMap((book) => Object.entries(book.skipped));
  return (
    <div class="more-agent">
      {report && report.problems.length > 0 && <ul class="problems">{report.problems.map((one) => <li><Text value={one} /></li>)}</ul>}
      {report ? <><LedgerTable ledgers={report.ledgers} /><Legend /><Sources sources={report.sources ?? []} /></> : <p class="muted">It has not reported yet. Start it with <code>systemctl start pikett-agent</code> and look at its log.</p>}
      <dl class="facts">
        <dt>Inputs</dt><dd>{report?.inputs.length ? report.inputs.map((one) => <div><Text value={one} /></div>) : "none reported"}</dd>
        <dt>Rules</dt><dd>{Object.entries(report?.rules ?? {}).map(([engine, [good, bad]]) => <div>{plain(engine)}: {number(good)} loaded{bad > 0 && <span class="bad">, {number(bad)} refused</span>}</div>)}</dd>
        <dt>Address</dt><dd class="mono">{plain(agent.address) || "–"}</dd>
        <dt>Up since</dt><dd><Time value={report?.started} /></dd>
        <dt>Enrolled</dt><dd><Time value={agent.enrolled} />, certificate until <Time value={agent.expires} /></dd>
        <dt>Given up</dt><dd>{skipped.length ? skipped.map(([reason, n]) => <div class="warn">{plain(reason)} {number(n)}</div>) : "nothing"}</dd>
        <dt>Unaccounted</dt><dd class={props.row.residue ? "bad" : ""}>{number(props.row.residue)} events between agent and store</dd>
      </dl>
      <p class="row">
        <a href={`#/search?q=${encodeURIComponent(`agent.id:"${agent.id}"`)}&from=now-1h`}>Its events of the last hour</a>
        {props.rights.admin && <button type="button" class={agent.revoked ? "" : "danger"} onClick={() => void revoke()}>{agent.revoked ? "Readmit" : "Revoke"}</button>}
      </p>
    </div>
  );
}

function Line(props: { row: AgentRow; open: boolean; toggle: () => void }) {
  const { agent, health, residue, seconds_since_seen } = props.row;
  const report = agent.report;
  const loss = report ? worst(report.ledgers) : null;
  const rules = Object.values(report?.rules ?? {});
  const refused = rules.reduce((sum, [, bad]) => sum + bad, 0);
  const problems = report?.problems.length ?? 0;
  return (
    <tr class="agent" onClick={props.toggle}>
      <td><Badge kind={health}>{health}</Badge></td>
      <th scope="row"><button type="button" class="linkish" aria-expanded={props.open}>{plain(agent.id)}</button><div class="muted small">{plain(agent.host)}</div></th>
      <td data-label="Zone">{plain([agent.zone, agent.region].filter(Boolean).join(" / ")) || "–"}</td>
      <td data-label="Version">{plain(agent.version) || "–"}</td>
      <td data-label="Last seen" class="nowrap">{health === "new" ? "never" : `${seconds(seconds_since_seen)} ago`}</td>
      <td data-label="Lag" class="nowrap" title="Events waiting in the spool">{report ? `${number(report.pending)} · ${bytes(report.spool_bytes)}` : "–"}</td>
      <td data-label="Rules" class="nowrap">{number(rules.reduce((sum, [good]) => sum + good, 0))}{refused > 0 && <span class="bad"> {number(refused)} refused</span>}</td>
      <td data-label="Memory" class="nowrap">{report ? bytes(report.resident_bytes) : "–"}</td>
      <td data-label="Worst loss" class="barcell">{loss ? <><Bar ledger={loss[0]} label={`${percent(lost(loss[0]))} lost at ${loss[1]}`} /><span class={lost(loss[0]) > 0 ? "bad small" : "muted small"}>{percent(lost(loss[0]))}{lost(loss[0]) > 0 && ` at ${loss[1]}`}</span></> : "–"}</td>
      <td data-label="Problems">{problems > 0 ? <span class="bad">{problems}</span> : residue > 0 ? "" : <span class="muted">none</span>}{residue > 0 && <div class="bad small">{number(residue)} unaccounted</div>}</td>
    </tr>
  );
}

function Own() {
  const { value, error, again } = useFetched((signal) => get<{ store: StoreFigures; receive: Received; residue: number }>("/api/v1/ledger", signal), [], 5_000);
  if (!value) return <><Failure error={error} again={again} />{!error && <Loading />}</>;
  const { store, receive } = value;
  const faults: [string, number][] = [
    ["log records lost", store.log_records_lost], ["index parts quarantined", store.index_quarantined],
    ["documents repaired", store.repaired], ["values not indexed", store.values_capped],
  ];
  return (
    <section class="card">
      <h2>Collector</h2>
      <Failure error={error} again={again} />
      <LedgerTable ledgers={{ ...(receive.sources.length ? { receive: receive.ledger } : {}), intake: store.intake, index: store.index }} />
      <Legend />
      <Sources sources={receive.sources} />
      <p class="row wrap small">
        <span>{number(store.documents)} events searchable in {number(store.partitions)} partitions</span>
        <span>index {bytes(store.index_bytes)}</span><span>log {bytes(store.log_bytes)}</span>
        <span>{number(store.retention_dropped)} gone by retention</span>
        {faults.filter(([, n]) => n > 0).map(([what, n]) => <span class="warn">{number(n)} {what}</span>)}
      </p>
      {store.problems.length > 0 && <ul class="problems">{store.problems.map((one) => <li><strong>{plain(one.what)}</strong> <span class="mono small">{plain(one.path)}</span> {plain(one.advice)}</li>)}</ul>}
    </section>
  );
}

export function AgentsPage(props: { rights: Rights }) {
  const list = useFetched((signal) => get<AgentRow[]>("/api/v1/agents", signal), [], 5_000);
  const [open, set] = useState<ReadonlySet<string>>(new Set());
  const [enrolling, enrol] = useState(false);
  const [filter, type] = useState("");
  const toggle = (id: string) => {
    const next = new Set(open);
    if (!next.delete(id)) next.add(id);
    set(next);
  };
  const all = list.value ?? [];
  const rows = all.filter(({ agent, health }) => `${agent.id} ${agent.host} ${agent.zone} ${agent.region} ${agent.version} ${health}`.toLowerCase().includes(filter.toLowerCase()));
  const count = (health: string) => all.filter((one) => one.health === health).length;
  return (
    <div class="page">
      <header class="row wrap">
        <h1>Agents</h1>
        <span class="muted" role="status">{list.value && `${count("online")} online, ${count("silent")} silent, ${count("new")} new, ${count("revoked")} revoked`}</span>
        <span class="spacer" />
        {all.length > 0 && <input data-main-input type="search" aria-label="Filter agents" placeholder="Filter ( / )" value={filter} onInput={(event) => type(event.currentTarget.value)} />}
        {props.rights.admin && <button type="button" class="primary" onClick={() => enrol(true)}>Enrol an agent</button>}
      </header>
      <Failure error={list.error} again={list.again} />
      {!list.value && !list.error && <Loading />}
      {list.value && all.length === 0 && <Empty title="No agent is enrolled.">An agent on a host or a sensor sees packets and logs and sends events here. {props.rights.admin ? "“Enrol an agent” gives you the one command to run there." : "An administrator can enrol one."}</Empty>}
      {rows.length > 0 && (
        <table class="plain agents cards-narrow">
          <thead><tr><th>State</th><th>Agent</th><th>Zone</th><th>Version</th><th>Last seen</th><th>Lag</th><th>Rules</th><th>Memory</th><th>Worst loss</th><th>Problems</th></tr></thead>
          <tbody>{rows.map((row) => <>
            <Line key={row.agent.id} row={row} open={open.has(row.agent.id)} toggle={() => toggle(row.agent.id)} />
            {open.has(row.agent.id) && <tr key={`${row.agent.id}/more`} class="unfolded"><td colSpan={10}><More row={row} rights={props.rights} again={list.again} /></td></tr>}
          </>)}</tbody>
        </table>
      )}
      <Own />
      {enrolling && <Enrol close={() => enrol(false)} />}
    </div>
  );
}
