// The loss ledger drawn: per hop one bar, on which the smallest loss is still visible.
import { number } from "./text";
import type { Ledger } from "./types";

const HOPS: [string, string, string][] = [
  ["capture", "Capture", "packets, kernel to worker"], ["sensor", "Sensor", "packets, worker to events"],
  ["logs", "Logs", "lines, log inputs to events"], ["outbox", "Outbox", "events to the spool"],
  ["link", "Link", "spool to the collector"], ["receive", "Receive", "messages, the collector's own inputs"], ["intake", "Intake", "events, collector to its log"],
  ["index", "Index", "events, log to index"],
];

export const shed = (ledger: Ledger) => Object.values(ledger.shed ?? {}).reduce((sum, n) => sum + n, 0);
export const residue = (one: Ledger) => one.seen - one.processed - shed(one) - one.dropped - one.pending;

/** Lost share of a hop, 0 to 1. */
export function lost(one: Ledger): number {
  return one.seen > 0 ? (shed(one) - (one.shed?.duplicate ?? 0) + one.dropped + Math.max(0, residue(one))) / one.seen : 0;
}

export function percent(share: number): string {
  if (share === 0) return "0 %";
  if (share < 0.0001) return "< 0.01 %";
  return `${(share * 100).toFixed(share < 0.01 ? 2 : 1)} %`;
}

/** A bar of parts; a part that is not nothing is at least two units of a hundred wide. */
export function Bar(props: { ledger: Ledger; label: string }) {
  const one = props.ledger;
  const parts: [string, number][] = [
    ["residue", Math.abs(residue(one))], ["dropped", one.dropped], ["shed", shed(one)], ["pending", one.pending],
  ];
  const total = Math.max(1, one.seen);
  let at = 100;
  const drawn = parts.map(([kind, count]) => {
    const width = count > 0 ? Math.max(2, Math.min(96, (count / total) * 100)) : 0;
    at -= width;
    return <rect class={`p-${kind}`} x={Math.max(0, at)} y="0" width={width} height="10" />;
  });
  return (
    <svg class="ledger-bar" viewBox="0 0 100 10" preserveAspectRatio="none" role="img" aria-label={props.label}>
      <rect class={one.seen > 0 ? "p-processed" : "p-none"} x="0" y="0" width={Math.max(0, at)} height="10" />
      {drawn}
    </svg>
  );
}

export function LedgerTable(props: { ledgers: Record<string, Ledger> }) {
  const hops = HOPS.filter(([name]) => props.ledgers[name]);
  if (!hops.length) return <p class="muted">No counters yet.</p>;
  return (
    <table class="plain ledger cards-narrow">
      <thead><tr><th scope="col">Hop</th><th scope="col">Fate of what was seen</th><th class="num">Seen</th><th class="num">Processed</th><th class="num">Shed</th><th class="num">Dropped</th><th class="num">Pending</th><th class="num">Unaccounted</th></tr></thead>
      <tbody>{hops.map(([name, title, hint]) => {
        const one = props.ledgers[name]!;
        const left = residue(one);
        const reasons = Object.entries(one.shed ?? {}).filter(([, n]) => n > 0);
        return (
          <tr>
            <th scope="row">{title}<div class="muted small">{hint}</div></th>
            <td class="barcell"><Bar ledger={one} label={`${title}: ${percent(lost(one))} lost`} /><span class={lost(one) > 0 ? "bad small" : "muted small"}>{percent(lost(one))} lost</span></td>
            <td class="num" data-label="Seen">{number(one.seen)}</td>
            <td class="num" data-label="Processed">{number(one.processed)}</td>
            <td class={`num${shed(one) ? " warn" : ""}`} data-label="Shed">{number(shed(one))}{reasons.map(([reason, n]) => <div class="small">{reason.replace(/_/g, " ")} {number(n)}</div>)}</td>
            <td class={`num${one.dropped ? " bad" : ""}`} data-label="Dropped">{number(one.dropped)}</td>
            <td class="num" data-label="Pending">{number(one.pending)}</td>
            <td class={`num${left ? " bad" : ""}`} data-label="Unaccounted">{number(left)}</td>
          </tr>
        );
      })}</tbody>
    </table>
  );
}

export function Legend() {
  return (
    <p class="legend small" aria-hidden="true">
      {["processed", "pending", "shed", "dropped", "residue"].map((kind) => <span><svg viewBox="0 0 10 10" width="10" height="10"><rect class={`p-${kind}`} width="10" height="10" /></svg> {kind === "residue" ? "unaccounted" : kind}</span>)}
    </p>
  );
}
