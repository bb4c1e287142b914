// All redactions: what is gone, by whom and why, with its proof; and what is still under way.
import { get } from "../api";
import { number, plain, Text, Time } from "../text";
import { Empty, Failure, Loading, useFetched } from "../ui";
import { events, extent, iso, Progress, Tombstone, type Pending, type Stone } from "./shared";

export function Redactions() {
  const list = useFetched((signal) => get<{ redactions: Stone[]; pending: Pending[] }>("/api/v1/redactions", signal), [], 10_000);
  const done = [...(list.value?.redactions ?? [])].reverse();
  return (
    <section class="redactions">
      <header class="row"><h2>Redactions</h2></header>
      <Failure error={list.error} again={list.again} />
      {!list.value && !list.error && <Loading />}
      {list.value?.pending.map((one) => <div class="card"><strong>Under way:</strong> {events(one.events)}, {plain(extent(one.fields))}, by {plain(one.who)} <Time value={one.when} />: <Text value={one.reason} max={300} /><Progress pending={one} /></div>)}
      {list.value && !done.length && !list.value.pending.length && <Empty title="Nothing was redacted.">Find the events on the search page and choose <em>Redact these events</em>.</Empty>}
      {done.length > 0 && <table class="plain cards-narrow"><thead><tr><th>When</th><th>Who</th><th>Gone</th><th>Reason</th><th class="num">Partitions</th><th>Tombstone</th></tr></thead><tbody>
        {done.map((one) => (
          <tr key={one.id}><th scope="row"><Time value={one.when ?? iso(one.time)} /></th>
            <td data-label="Who">{plain(one.who)}</td>
            <td data-label="Gone">{events(one.events.length)}, {plain(extent(one.fields))}</td>
            <td data-label="Reason"><Text value={one.reason} max={300} lines /></td>
            <td class="num" data-label="Partitions">{number(Object.keys(one.partitions).length)}</td>
            <td data-label="Tombstone"><details class="small"><summary class="mono">{plain(one.id)}</summary><Tombstone stone={one} /></details></td></tr>
        ))}</tbody></table>}
    </section>
  );
}
