// What is known to be missing in a window of time, and why: the reasons behind the word at each search.
import { get } from "./api";
import { go, link } from "./hash";
import { millis, number, plain, stamp, Text, Time } from "./text";
import type { Completeness } from "./types";
import { Empty, Failure, Loading, useFetched } from "./ui";

interface Judged extends Completeness { from: string | null; to: string }

const KINDS: Record<string, string> = {
  lost: "Lost", unseen: "Not looked at", rejected: "Refused", damaged: "Damaged", agent_silent: "Agent silent",
  source_silent: "Source silent", late: "On its way", delayed: "Came later", redacted: "Redacted", warm_away: "Folder not there",
};
const CALM = new Set(["late", "delayed"]);

export function CompletePage(props: { params: URLSearchParams }) {
  const from = props.params.get("from") ?? "now-24h";
  const to = props.params.get("to") ?? "now";
  const subject = props.params.get("subject") ?? "";
  const asked = new URLSearchParams({ from, to });
  const { value, error } = useFetched((signal) => get<Judged>(`/api/v1/completeness?${asked}`, signal), [from, to], 30_000);
  const reasons = (value?.reasons ?? []).filter((one) => !subject || one.subject === subject);
  const hidden = (value?.reasons.length ?? 0) - reasons.length;
  const events = (since: string | null, until: string | null) => link("search", { from: since ?? from, to: until ?? to });
  return (
    <div class="page">
      <h1>What is missing</h1>
      {value && <p class="lead">{value.from ? stamp(millis(value.from)) : "The beginning"} to {stamp(millis(value.to))}{subject && <>, {plain(subject)} only{hidden > 0 && <> (<button type="button" class="linkish" onClick={() => go(link("complete", { from, to }))}>{number(hidden)} reasons of others</button>)</>}</>}</p>}
      {error && <Failure error={error} />}
      {!value && !error && <Loading />}
      {value && reasons.length === 0 && <Empty title="Nothing is known to be missing in this time.">Agents, log sources and the store account for everything.</Empty>}
      {reasons.length > 0 && (
        <table class="plain cards-narrow">
          <thead><tr><th scope="col">What</th><th scope="col">Who</th><th scope="col">From</th><th scope="col">To</th><th scope="col" class="num">Number</th><th scope="col">In words</th></tr></thead>
          <tbody>{reasons.map((one) => (
            <tr>
              <th scope="row" class={CALM.has(one.kind) ? "" : "warn"}>{KINDS[one.kind] ?? plain(one.kind)}</th>
              <td data-label="Who">{plain(one.subject)}</td>
              <td data-label="From" class="nowrap">{one.since ? <Time value={one.since} /> : "–"}</td>
              <td data-label="To" class="nowrap">{one.until ? <Time value={one.until} /> : "–"}</td>
              <td data-label="Number" class="num">{one.count === null ? "–" : number(one.count)}</td>
              <td data-label="In words"><Text value={one.words} max={600} />{one.since && <> <a href={events(one.since, one.until)}>events of this time</a></>}</td>
            </tr>
          ))}</tbody>
        </table>
      )}
      {value && value.more > 0 && <p class="muted">and {number(value.more)} further reasons; choose a shorter time.</p>}
    </div>
  );
}
