// An exception from an alert: what is proposed, what it would have hidden, and the reason.
import { useEffect, useState } from "preact/hooks";
import type { Rights } from "../app";
import { call, get, post, words } from "../api";
import { number, plain, Text } from "../text";
import { Dialog, Failure, Loading, say, useFetched } from "../ui";
import { Bar, HOW, TouchedRow, type Condition, type Offer, type Preview, type Proposal } from "./shared";

const BECAUSE: Record<string, string> = {
  matched: "made the rule fit", entity: "what the alert is about", host: "host", user: "user", process: "process", network: "network",
};

interface Choice extends Offer { how: string }

function Row(props: { choice: Choice; change: (next: Choice) => void }) {
  const { choice, change } = props;
  const [value] = choice.values;
  const name = plain(choice.field);
  const many = choice.distinct > choice.values.length;
  return (
    <li class={choice.ticked ? "offer" : "offer off"}>
      <label class="inline"><input type="checkbox" checked={choice.ticked} onChange={() => change({ ...choice, ticked: !choice.ticked })} />
        <span class="mono">{name}</span></label>
      <select aria-label={`How ${name} is compared`} value={choice.how} onChange={(event) => change({ ...choice, how: event.currentTarget.value })}>
        {HOW.map(([how, title]) => <option value={how}>{title}</option>)}
      </select>
      {choice.values.length === 1
        ? <input class="grow mono" aria-label={`Value of ${name}`} value={value} spellcheck={false} onInput={(event) => change({ ...choice, values: [event.currentTarget.value] })} />
        : <span class="grow">{choice.values.map((one) => <span class="chip mono"><Text value={one} max={80} /></span>)}</span>}
      <span class="muted small">{BECAUSE[choice.because] ?? choice.because}{many && `; ${number(choice.distinct)} different values, this is the newest`}</span>
    </li>
  );
}

function Seen(props: { preview: Preview; admin: boolean; aside: ReadonlySet<string>; put: (id: string) => void }) {
  const { preview } = props;
  return (
    <div>
      <p role="status">It <Text value={preview.words} />.</p>
      <Bar preview={preview} />
      {preview.partial && <p class="warning">The past could not be looked at whole; only an administrator may make it untested. Narrow it.</p>}
      {preview.true_positives.length > 0 && <div class="failure block" role="alert">
        <strong>It would have hidden {preview.true_positives_count === 1 ? "an alert that was judged a true positive" : `${number(preview.true_positives_count)} alerts that were judged true positives`}.</strong>
        <span>{props.admin ? "Narrow it, or put each of them aside; your name stays with it." : "Narrow it. Only an administrator may put them aside."}</span>
        <ul class="bare">{preview.true_positives.map((one) => (
          <li>{props.admin ? <label class="inline"><input type="checkbox" checked={props.aside.has(one.id)} onChange={() => props.put(one.id)} aria-label={`Put aside ${plain(one.title).slice(0, 80)}`} /><TouchedRow one={one} /></label> : <TouchedRow one={one} />}</li>
        ))}</ul></div>}
      {preview.untestable.length > 0 && <p class="muted small">True positives that cannot be tested, because their events are not in the store any more: {number(preview.untestable.length)}.</p>}
      {preview.doubtful.length > 0 && <details><summary>Touched alerts that nobody has judged, or that are critical: {number(preview.doubtful_count)}</summary>
        <ul class="bare">{preview.doubtful.map((one) => <li><TouchedRow one={one} /></li>)}</ul></details>}
    </div>
  );
}

/** The conditions as they stand, as the API takes them. */
const ticked = (choices: Choice[]): Condition[] => choices.filter((one) => one.ticked).map(({ field, how, values }) => ({ field, how, values }));

function Form(props: { proposal: Proposal; rights: Rights; close: () => void; done: () => void }) {
  const { proposal, rights } = props;
  const [choices, choose] = useState<Choice[]>(proposal.offers.map((one) => ({ ...one, how: "is" })));
  const [preview, show] = useState<Preview | null>(null);
  const [error, fail] = useState<string | null>(null);
  const [aside, setAside] = useState<ReadonlySet<string>>(new Set());
  const [busy, work] = useState(false);
  const conditions = ticked(choices);
  const asked = JSON.stringify(conditions);
  useEffect(() => {
    const abort = new AbortController();
    show(null);
    fail(null);
    if (!conditions.length) return;
    const body = { engine: proposal.engine, rule_id: proposal.rule_id, conditions };
    const timer = setTimeout(() => {
      call<Preview>("POST", "/api/v1/exceptions/preview", body, abort.signal).then(show, (problem) => {
        if (!abort.signal.aborted) fail(words(problem));
      });
    }, 300);
    return () => {
      clearTimeout(timer);
      abort.abort();
    };
  }, [asked]);
  const open = preview ? preview.true_positives.filter((one) => !aside.has(one.id)).length : 0;
  const ready = !!preview && !busy && open === 0 && (!preview.partial || rights.admin);
  const submit = async (event: SubmitEvent) => {
    event.preventDefault();
    const form = new FormData(event.currentTarget as HTMLFormElement);
    work(true);
    try {
      await post("/api/v1/exceptions/add", {
        engine: proposal.engine, rule_id: proposal.rule_id, alert: proposal.alert, conditions,
        title: String(form.get("title") ?? ""), reason: String(form.get("reason") ?? ""), days: Number(form.get("days")),
        put_aside: preview?.true_positives.filter((one) => aside.has(one.id)).map((one) => one.id) ?? [], untested: preview?.partial ?? false,
      });
      say("The exception holds from now on");
      props.done();
    } catch (problem) {
      fail(words(problem));
      work(false);
    }
  };
  const put = (id: string) => {
    const next = new Set(aside);
    if (!next.delete(id)) next.add(id);
    setAside(next);
  };
  return (
    <form class="stack" onSubmit={submit}>
      <p>From now on what the rule <span class="mono">{plain(proposal.rule_id)}</span> finds makes no alert when <strong>all</strong> of this holds. It is still stored and can be searched for.</p>
      <ul class="bare offers-list">{choices.map((choice, at) => <Row choice={choice} change={(next) => choose(choices.map((one, n) => (n === at ? next : one)))} />)}</ul>
      {!conditions.length && <p class="warning">Without a condition the whole rule would be silent: tick at least one.</p>}
      <section aria-label="What it would have done" class="preview">
        {conditions.length > 0 && !preview && !error && <p class="muted" role="status">Looking at the last 30 days…</p>}
        {preview && <Seen preview={preview} admin={rights.admin} aside={aside} put={put} />}
        <Failure error={error} />
      </section>
      <label>Reason<textarea name="reason" rows={2} required maxLength={2000} placeholder="Why nobody wants to hear of this; a ticket" /></label>
      <div class="row wrap"><label>Days it holds<input class="narrow" name="days" type="number" min="1" max={proposal.max_days} defaultValue={String(proposal.days)} required /></label>
        <label class="grow">Title<input name="title" maxLength={200} defaultValue={plain(proposal.title).slice(0, 200)} /></label></div>
      <footer><button type="button" onClick={props.close}>Cancel</button><button class="primary" disabled={!ready}>Make the exception</button></footer>
    </form>
  );
}

export function ExceptionDialog(props: { alert: string; rights: Rights; close: () => void; done: () => void }) {
  const found = useFetched((signal) => get<Proposal>(`/api/v1/alerts/${encodeURIComponent(props.alert)}/exception`, signal), [props.alert]);
  return (
    <Dialog title="Make an exception" close={props.close} wide>
      {!found.value && !found.error && <Loading />}
      <Failure error={found.error} again={found.again} />
      {found.value && <Form proposal={found.value} rights={props.rights} close={props.close} done={props.done} />}
    </Dialog>
  );
}
