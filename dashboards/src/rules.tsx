// A rule's text over the stored past: what would have fired, before anybody is called by it.
import { useEffect, useState } from "preact/hooks";
import { get, post, words } from "./api";
import { link } from "./hash";
import { quote } from "./query";
import { number, plain, Text } from "./text";
import { Badge, Failure } from "./ui";

interface Fired {
  rule: string; title: string; author: string; level: string; times: number; suppressed: number; first?: string; last?: string;
  hosts: [string, number][]; example?: [string, string]; words: string;
}
interface Progress {
  id: string; stage: "running" | "done" | "cancelled" | "failed"; query: string; events: number; total: number; matches: number;
  partial: boolean; uncorrelated: number; rules: Fired[]; error: string;
}
const SPANS: [string, string][] = [["now-1h", "the last hour"], ["now-24h", "24 hours"], ["now-7d", "7 days"], ["now-30d", "30 days"], ["now-90d", "90 days"]];
const EXAMPLE = "title: Root logs in\nid: root-logs-in\nlogsource:\n  product: linux\n  service: sshd\ndetection:\n  selection:\n    user.name: root\n  condition: selection\nlevel: medium\n";

function Answer(props: { progress: Progress }) {
  const { progress } = props;
  return (
    <section aria-label="What would have fired">
      {progress.rules.map((one) => (
        <article class="card" key={one.rule}>
          <h2><Badge kind={one.level}>{plain(one.level)}</Badge> <Text value={one.title} max={200} /> <span class="muted small mono">{plain(one.rule)}</span></h2>
          <p class="lead"><Text value={one.words} /></p>
          {one.example?.[0] && <p class="small"><a href={link("search", { q: `event.id:${quote(one.example[0])}`, all: "1" })}>The first event</a></p>}
        </article>
      ))}
      <p class="muted small">{number(progress.events)} events were evaluated, found by <span class="mono"><Text value={progress.query} max={400} /></span></p>
      {(progress.partial || progress.uncorrelated > 0) && <p class="warning">This is not all: there were too many events or the time ran out. The newest were looked at.</p>}
    </section>
  );
}

function Going(props: { progress: Progress; stop: () => void }) {
  const { events, total, matches } = props.progress;
  return (
    <div class="row"><progress aria-label="Events evaluated" max={Math.max(1, total)} value={events} />
      <span role="status">{number(events)} of {number(total)} events, {number(matches)} matches</span>
      <button type="button" onClick={props.stop}>Cancel</button></div>
  );
}

export function RulesPage() {
  const [text, type] = useState(EXAMPLE);
  const [from, since] = useState("now-7d");
  const [progress, set] = useState<Progress | null>(null);
  const [error, fail] = useState<string | null>(null);
  const running = progress?.stage === "running";
  useEffect(() => {
    if (!progress || !running) return;
    const abort = new AbortController();
    const timer = setTimeout(() => {
      get<Progress>(`/api/v1/rules/preview/${progress.id}`, abort.signal).then(set, (problem) => {
        if (abort.signal.aborted) return;
        fail(words(problem));
        set(null);
      });
    }, 400);
    return () => {
      clearTimeout(timer);
      abort.abort();
    };
  }, [progress]);
  const begin = async (event: SubmitEvent) => {
    event.preventDefault();
    fail(null);
    set(null);
    try {
      set(await post<Progress>("/api/v1/rules/preview", { rules: text, from }));
    } catch (problem) {
      fail(words(problem));
    }
  };
  const stop = () => {
    if (progress) post(`/api/v1/rules/preview/${progress.id}/cancel`, {}).catch((problem) => fail(words(problem)));
  };
  return (
    <div class="page">
      <h1>Try a rule</h1>
      <p class="muted">Paste Sigma rules or correlations and see what they would have done with what is stored, with the names of fields, placeholders and exceptions of this collector. Nothing is changed, nobody is called.</p>
      <form class="stack" onSubmit={begin}>
        <label>Rules<textarea data-main-input class="mono rule-text" rows={16} spellcheck={false} required value={text} onInput={(event) => type(event.currentTarget.value)} /></label>
        <div class="row wrap"><label class="inline">Over <select aria-label="Time" value={from} onChange={(event) => since(event.currentTarget.value)}>{SPANS.map(([value, title]) => <option value={value}>{title}</option>)}</select></label>
          <button class="primary" disabled={running}>What would have fired?</button></div>
      </form>
      <Failure error={error} />
      {progress && running && <Going progress={progress} stop={stop} />}
      {progress?.stage === "failed" && <Failure error={progress.error} />}
      {progress?.stage === "cancelled" && <p class="warning">It was cancelled after {number(progress.events)} events.</p>}
      {progress?.stage === "done" && <Answer progress={progress} />}
    </div>
  );
}
