// All exceptions: how they stand, until when, what they suppressed; the end button.
import { useState } from "preact/hooks";
import type { Rights } from "../app";
import { get, post } from "../api";
import { link } from "../hash";
import { quote } from "../query";
import { number, plain, Text, Time } from "../text";
import { attempt, Badge, Dialog, Empty, Failure, Loading, useFetched } from "../ui";
import { Conditions, type Exception, type FromFile, type Listed } from "./shared";

function Hits(props: { id: string; hits: number; last: string | null }) {
  if (!props.hits) return <span class="muted">none</span>;
  return <><a href={link("search", { q: `suppressed.exception:${quote(props.id)}`, all: "1" })}>{number(props.hits)}</a>
    <div class="small muted">last <Time value={props.last} ago /></div></>;
}

function Standing(props: { one: Exception }) {
  const { standing, unused } = props.one;
  return <><Badge kind={standing}>{standing}</Badge>{unused && <> <Badge kind="unused" title="It has suppressed nothing for 14 days">unused</Badge></>}</>;
}

function EndDialog(props: { one: Exception; close: () => void; done: () => void }) {
  const submit = async (event: SubmitEvent) => {
    event.preventDefault();
    const reason = String(new FormData(event.currentTarget as HTMLFormElement).get("reason") ?? "");
    if (await attempt(() => post(`/api/v1/exceptions/${encodeURIComponent(props.one.id)}/end`, { reason }), "The exception has ended")) props.done();
  };
  return (
    <Dialog title="End the exception" close={props.close}>
      <form class="stack" onSubmit={submit}>
        <p><Text value={props.one.title} max={200} />: from now on what it suppressed makes alerts again.</p>
        <label>Reason<textarea name="reason" rows={2} maxLength={2000} autofocus /></label>
        <footer><button type="button" onClick={props.close}>Cancel</button><button class="primary">End it</button></footer>
      </form>
    </Dialog>
  );
}

function Made(props: { one: Exception; rights: Rights; end: () => void }) {
  const { one } = props;
  return (
    <tr>
      <th scope="row"><Text value={one.title} max={160} />
        <div class="small muted"><span class="mono">{plain(one.rule_id)}</span> {plain(one.engine)}{one.alert && <>, from <a href={link("alerts", { status: "all" }, one.alert)}>an alert</a></>}</div></th>
      <td data-label="State"><Standing one={one} />{one.overridden.length > 0 && <div class="small bad">{number(one.overridden.length)} true positives put aside</div>}</td>
      <td data-label="When"><Conditions list={one.conditions} /></td>
      <td data-label="Reason"><Text value={one.reason} max={300} lines />
        <details class="small"><summary>History</summary><ol class="timeline">{one.history.map((entry) => <li><Time value={entry.time} /> <strong>{plain(entry.who)}</strong> <Text value={entry.what} lines /></li>)}</ol></details></td>
      <td data-label="Author">{plain(one.author)}</td>
      <td data-label="Until"><Time value={one.ended ?? one.expires} /></td>
      <td class="num" data-label="Suppressed"><Hits id={one.id} hits={one.hits} last={one.last_hit} /></td>
      <td class="acts">{props.rights.tune && one.standing === "active" && <button type="button" class="danger" aria-label={`End ${plain(one.title).slice(0, 80)}`} onClick={props.end}>End</button>}</td>
    </tr>
  );
}

function Files(props: { files: FromFile[] }) {
  if (!props.files.length) return null;
  return (
    <section>
      <h2>From files of the collector</h2>
      <table class="plain cards-narrow"><thead><tr><th>Exception</th><th>State</th><th>Rules</th><th>Reason</th><th>Author</th><th>Until</th><th class="num">Suppressed</th></tr></thead><tbody>
        {props.files.map((one) => <tr key={one.id}><th scope="row"><Text value={one.title} max={160} /><div class="small muted mono"><Text value={one.file} /></div></th>
          <td data-label="State"><Badge kind={one.standing}>{one.standing}</Badge></td>
          <td data-label="Rules" class="mono small">{one.rules.length ? plain(one.rules.join(", ")) : "any"}</td>
          <td data-label="Reason"><Text value={one.reason} max={300} lines /></td><td data-label="Author">{plain(one.author)}</td>
          <td data-label="Until"><Time value={one.expires} /></td>
          <td class="num" data-label="Suppressed">{one.hits ? number(one.hits) : <span class="muted">none</span>}</td></tr>)}
      </tbody></table>
    </section>
  );
}

export function ExceptionsPage(props: { rights: Rights }) {
  const list = useFetched((signal) => get<Listed>("/api/v1/exceptions", signal), [], 10_000);
  const [ending, end] = useState<Exception | null>(null);
  const made = list.value?.exceptions ?? [];
  return (
    <div class="page">
      <h1>Exceptions</h1>
      <p class="muted">What a rule finds and nobody wants to hear of. Each has a reason, an author and an end; what it suppresses is stored and can be searched for. They are made from an alert.</p>
      <Failure error={list.error} again={list.again} />
      {!list.value && !list.error && <Loading />}
      {list.value && !made.length && <Empty title="There are no exceptions.">Open an alert and choose <em>Make an exception</em>.</Empty>}
      {made.length > 0 && <table class="plain cards-narrow exceptions"><thead><tr><th>Exception</th><th>State</th><th>Holds when</th><th>Reason</th><th>Author</th><th>Until</th><th class="num">Suppressed</th><th><span class="hide">Change</span></th></tr></thead>
        <tbody>{made.map((one) => <Made key={one.id} one={one} rights={props.rights} end={() => end(one)} />)}</tbody></table>}
      {list.value && <Files files={list.value.files} />}
      {ending && <EndDialog one={ending} close={() => end(null)} done={() => { end(null); list.again(); }} />}
    </div>
  );
}
