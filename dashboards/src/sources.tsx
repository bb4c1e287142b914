// Log sources: what each has read, and what of it was not understood, cut or lost.
import { bytes, number, plain, Text, Time } from "./text";
import type { Source } from "./types";

function Count(props: { title: string; value: number; kind: "warn" | "bad" }) {
  return <td class={`num${props.value ? ` ${props.kind}` : ""}`} data-label={props.title}>{number(props.value)}</td>;
}

// Counts that are no cause for worry.
const CALM = new Set(["records", "held", "read_again", "directives", "empty_lines"]);

function Row(props: { source: Source }) {
  const one = props.source;
  const further = Object.entries(one.further ?? {}).filter(([, n]) => n > 0);
  const peers = one.peers ?? [];
  return (
    <tr>
      <th scope="row"><Text value={one.name} />
        {further.map(([name, n]) => <div class={`${CALM.has(name) ? "muted" : "warn"} small`}>{plain(name.replace(/_/g, " "))} {number(n)}</div>)}
        {peers.length > 0 && <details class="small"><summary>{number(one.peer_count ?? peers.length)} senders</summary>
          {peers.map((peer) => <div><span class="mono">{plain(peer.address)}</span> {number(peer.messages)}{peer.unparsed > 0 && <span class="warn"> {number(peer.unparsed)} not understood</span>}</div>)}</details>}
      </th>
      <td class="num" data-label="Lines">{number(one.lines)}</td>
      <td class="num" data-label="Bytes">{bytes(one.bytes)}</td>
      <Count title="Not understood" value={one.unparsed} kind="warn" />
      <Count title="Header only" value={one.header_only ?? 0} kind="warn" />
      <Count title="Cut" value={one.truncated} kind="warn" />
      <Count title="Shed" value={one.shed} kind="warn" />
      <Count title="Dropped" value={one.dropped} kind="bad" />
      <Count title="Errors" value={one.errors} kind="bad" />
      <td data-label="Last">{one.last_event ? <Time value={one.last_event} /> : "–"}{one.silent_since && <div class="bad small">silent since <Time value={one.silent_since} /></div>}{one.quiet_after_seconds ? <div class="muted small">{`alarm after ${span(one.quiet_after_seconds)}${one.quiet_learned ? ", learned" : ""}`}</div> : ""}</td>
      <td data-label="Place" class="small">{one.position ? <span class="mono"><Text value={one.position} /></span> : ""}{one.behind_bytes > 0 && <div class="muted">{bytes(one.behind_bytes)} behind</div>}</td>
    </tr>
  );
}

/** A time span in the unit that suits it. */
function span(seconds: number): string {
  if (seconds < 120) return `${number(seconds)} s`;
  return seconds < 7200 ? `${number(Math.round(seconds / 60))} min` : `${number(Math.round(seconds / 3600))} h`;
}

export function Sources(props: { sources: Source[] }) {
  if (!props.sources.length) return null;
  return (
    <table class="plain ledger cards-narrow">
      <thead><tr><th scope="col">Source</th><th class="num">Lines</th><th class="num">Bytes</th><th class="num">Not understood</th><th class="num" title="The header was understood and no parser knows the message: log.flags:header_only">Header only</th><th class="num">Cut</th><th class="num">Shed</th><th class="num">Dropped</th><th class="num">Errors</th><th>Last</th><th>Place</th></tr></thead>
      <tbody>{props.sources.map((one) => <Row source={one} />)}</tbody>
    </table>
  );
}
