// Redacting events of a search: what would go, the reason, the phrase that confirms it, and the work to its end.
import { useEffect, useState } from "preact/hooks";
import { get, post, words } from "../api";
import { flatten, summary } from "../query";
import { bytes, number, plain, Text, Time } from "../text";
import type { Document } from "../types";
import { Dialog, Failure } from "../ui";
import { events, extent, KEPT, phrase, Progress, Tombstone, type Followed, type Pending, type Shown, type Stone } from "./shared";

const LEAST_REASON = 10;
const LOOK = 700;

/** What finds the events; the times do not move while somebody thinks. */
export interface Asked { query: string; from?: string; to?: string }

/** Names of fields that could go by themselves. */
export function choices(documents: Document[]): string[] {
  const names = new Set(documents.flatMap((one) => flatten(one).map(([name]) => name)));
  return [...names].filter((name) => !KEPT.has(name)).sort();
}

function Fields(props: { names: string[]; chosen: ReadonlySet<string>; choose: (next: ReadonlySet<string>) => void }) {
  const flip = (name: string) => {
    const next = new Set(props.chosen);
    if (!next.delete(name)) next.add(name);
    props.choose(next);
  };
  return (
    <fieldset class="scroll short"><legend>Fields that go</legend>
      {props.names.map((name) => <label class="choice mono"><input type="checkbox" checked={props.chosen.has(name)} onChange={() => flip(name)} />{plain(name)}</label>)}
    </fieldset>
  );
}

function Preview(props: { shown: Shown }) {
  const { shown } = props;
  const more = shown.events - shown.shown.length;
  return (
    <section aria-label="What would go">
      <p role="status"><strong>{events(shown.events)}</strong> would go for good, {plain(extent(shown.fields))}:</p>
      <ul class="bare scroll short">{shown.shown.map((one) => <li><Time value={one.time} precise /> <Text value={summary(one.document)} max={300} /> <span class="muted small mono">{plain(one.id)}</span></li>)}
        {more > 0 && <li class="muted">and {number(more)} more</li>}</ul>
      <p class="small">Written anew under new keys: {shown.partitions.map((one) => <span class="chip">{plain(one.partition)}: {events(one.events)}, {bytes(one.bytes)}</span>)}</p>
      <p class="warning">Nobody can bring them back: keys and log of before are destroyed. Alerts that quote them, files that were exported and the sender's own copy are not reached. Everybody is told by an alert, and a signed tombstone stays.</p>
    </section>
  );
}

function Working(props: { begun: Pending; done: (stone: Stone) => void }) {
  const [pending, set] = useState(props.begun);
  const [error, fail] = useState<string | null>(null);
  useEffect(() => {
    const abort = new AbortController();
    let timer = 0;
    const look = async () => {
      try {
        const found = await get<Followed>(`/api/v1/redactions/${encodeURIComponent(props.begun.id)}`, abort.signal);
        if (found.redaction) return props.done(found.redaction);
        if (found.pending) set(found.pending);
        fail(null);
      } catch (problem) {
        if (abort.signal.aborted) return;
        fail(words(problem));
      }
      timer = window.setTimeout(look, LOOK);
    };
    void look();
    return () => {
      abort.abort();
      clearTimeout(timer);
    };
  }, [props.begun.id]);
  return (
    <section aria-label="Progress">
      <Progress pending={pending} />
      <p class="muted small">It goes on by itself, also when this page is closed or the collector is restarted; Settings shows it.</p>
      <Failure error={error} />
    </section>
  );
}

function Form(props: { asked: Asked; documents: Document[]; close: () => void; begun: (answer: Followed) => void }) {
  const [some, setSome] = useState(false);
  const [chosen, choose] = useState<ReadonlySet<string>>(new Set());
  const [reason, setReason] = useState("");
  const [typed, type] = useState("");
  const [shown, show] = useState<Shown | null>(null);
  const [error, fail] = useState<string | null>(null);
  const [busy, work] = useState(false);
  const fields = some ? [...chosen] : [];
  const change = (how: () => void) => {
    // What was shown is not what would go now.
    show(null);
    type("");
    fail(null);
    how();
  };
  const ask = async <T,>(more: object): Promise<T | null> => {
    work(true);
    fail(null);
    try {
      return await post<T>("/api/v1/redactions", { ...props.asked, fields, reason, ...more });
    } catch (problem) {
      fail(words(problem));
      return null;
    } finally {
      work(false);
    }
  };
  const look = async () => {
    const got = await ask<Shown>({});
    if (got) show(got);
  };
  const take = async (confirm: string) => {
    const got = await ask<Followed>({ confirm, wait: false });
    if (got) props.begun(got);
    else show(null);
  };
  const ready = reason.trim().length >= LEAST_REASON && (!some || chosen.size > 0);
  const wanted = shown ? phrase(shown.events) : "";
  const submit = (event: SubmitEvent) => {
    event.preventDefault();
    if (busy) return;
    if (!shown) void look();
    else if (typed.trim() === wanted) void take(shown.confirm);
  };
  return (
    <form class="stack" onSubmit={submit}>
      <p>All events that <span class="mono"><Text value={props.asked.query} max={400} /></span> finds{props.asked.from && <> from <Time value={props.asked.from} /></>}{props.asked.to && <> to <Time value={props.asked.to} /></>}, at most 1,000.</p>
      <fieldset><legend>What goes</legend>
        <label class="choice"><input type="radio" name="extent" checked={!some} onChange={() => change(() => setSome(false))} />Whole events</label>
        <label class="choice"><input type="radio" name="extent" checked={some} onChange={() => change(() => setSome(true))} />Only some of their fields; what a field said may stand in others too, such as event.original</label>
      </fieldset>
      {some && <Fields names={choices(props.documents)} chosen={chosen} choose={(next) => change(() => choose(next))} />}
      <label>Reason, which stays<textarea name="reason" rows={2} required minLength={LEAST_REASON} maxLength={1000} value={reason} onInput={(event) => { const text = event.currentTarget.value; change(() => setReason(text)); }} placeholder="Why this must not be kept; a ticket" /></label>
      {shown && <Preview shown={shown} />}
      {shown && <label><span>Type <q class="mono">{wanted}</q> to take them</span><input name="phrase" value={typed} autocomplete="off" autocapitalize="none" spellcheck={false} onInput={(event) => type(event.currentTarget.value)} /></label>}
      <Failure error={error} />
      <footer><button type="button" onClick={props.close}>Cancel</button>
        {shown ? <button class="danger" disabled={busy || typed.trim() !== wanted}>Redact for good</button>
          : <button class="primary" disabled={busy || !ready}>{busy ? "Looking…" : "Show what would go"}</button>}</footer>
    </form>
  );
}

export function RedactDialog(props: { asked: Asked; documents: Document[]; close: () => void; done: () => void }) {
  const [begun, begin] = useState<Pending | null>(null);
  const [stone, end] = useState<Stone | null>(null);
  const finish = (made: Stone) => {
    end(made);
    props.done();
  };
  return (
    <Dialog title={stone ? "They are redacted" : "Redact these events"} close={props.close} wide>
      {stone ? <><Tombstone stone={stone} /><footer><button type="button" class="primary" onClick={props.close}>Close</button></footer></>
        : begun ? <Working begun={begun} done={finish} />
          : <Form asked={props.asked} documents={props.documents} close={props.close} begun={(answer) => (answer.redaction ? finish(answer.redaction) : answer.pending && begin(answer.pending))} />}
    </Dialog>
  );
}
