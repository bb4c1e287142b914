// What the dialog and the page of exceptions share: shapes of the API, the picture of a preview.
import { link } from "../hash";
import { number, Text, Time } from "../text";
import type { Severity, Verdict } from "../types";
import { SeverityBadge } from "../ui";

export interface Condition { field: string; how: string; values: string[] }
export interface Offer { field: string; values: string[]; because: string; ticked: boolean; distinct: number }
export interface Proposal {
  alert: string; engine: string; rule_id: string; title: string; offers: Offer[]; looked: number; days: number; max_days: number;
}
export interface Touched {
  id: string; title: string; entity: string; severity: Severity; status: string; verdict: Verdict | null;
  last: string; detections: number; suppressed: number;
}
export interface Preview {
  words: string; days: number; detections: number; suppressed: number; already: number; alerts: number; hidden: number; thinned: number;
  true_positives: Touched[]; true_positives_count: number; doubtful: Touched[]; doubtful_count: number; untestable: string[]; partial: boolean;
}
export interface Exception {
  id: string; title: string; engine: string; rule_id: string; conditions: Condition[]; reason: string; author: string;
  made: string; expires: string; alert: string | null; ended: string | null; overridden: string[];
  history: { time: string; who: string; what: string }[];
  standing: "active" | "ended" | "expired"; unused: boolean; hits: number; last_hit: string | null;
}
export interface FromFile {
  id: string; title: string; file: string; rules: string[]; reason: string; author: string; expires: string;
  standing: "active" | "expired"; hits: number; last_hit: string | null;
}
export interface Listed { exceptions: Exception[]; files: FromFile[]; usual_days: number; max_days: number }

export const HOW: [string, string][] = [
  ["is", "is"], ["contains", "contains"], ["startswith", "begins with"], ["endswith", "ends with"], ["cidr", "is in the network"],
];

/** Past alerts of the rule as one bar: what would be gone, what would be less, what would stay. */
export function Bar(props: { preview: Preview }) {
  const { alerts, hidden, thinned, true_positives_count: judged } = props.preview;
  const kept = Math.max(0, alerts - hidden - thinned);
  const parts: [string, string, number][] = [
    ["p-hidden", "would not be there", hidden], ["p-thinned", "would have fewer detections", thinned], ["p-kept", "would stay", kept],
  ];
  let at = 0;
  const words = parts.map(([, what, n]) => `${n} ${what}`).join(", ");
  return (
    <figure class="past">
      <svg class="ledger-bar" viewBox="0 0 100 10" preserveAspectRatio="none" role="img" aria-label={`Alerts of the rule in ${props.preview.days} days: ${words}`}>
        {alerts === 0 && <rect class="p-none" x="0" y="0" width="100" height="10" />}
        {parts.map(([name, , n]) => {
          const width = alerts > 0 ? (n / alerts) * 100 : 0;
          const rect = width > 0 && <rect class={name} x={at} y="0" width={width} height="10" />;
          at += width;
          return rect;
        })}
      </svg>
      <figcaption class="legend small">
        {parts.map(([name, what, n]) => <span><svg width="10" height="10" aria-hidden="true"><rect class={name} width="10" height="10" /></svg> {number(n)} {what}</span>)}
        <span class={judged ? "bad" : ""}><svg width="10" height="10" aria-hidden="true"><rect class="p-true" width="10" height="10" /></svg> true positives touched: {number(judged)}</span>
      </figcaption>
    </figure>
  );
}

export function TouchedRow(props: { one: Touched }) {
  const { one } = props;
  return (
    <span><SeverityBadge severity={one.severity} /> <a href={link("alerts", { status: "all" }, one.id)} target="_blank" rel="noopener"><Text value={one.title} max={120} /></a>{" "}
      <span class="mono"><Text value={one.entity} max={80} /></span>{" "}
      <span class="muted small">{number(one.suppressed)} of {number(one.detections)} detections, last <Time value={one.last} /></span></span>
  );
}

export function Conditions(props: { list: Condition[] }) {
  return (
    <ul class="bare">{props.list.map((one) => (
      <li><span class="mono"><Text value={one.field} /></span> <span class="muted">{HOW.find(([how]) => how === one.how)?.[1] ?? one.how}</span>{" "}
        {one.values.map((value, n) => <>{n > 0 && <span class="muted"> or </span>}<span class="mono"><Text value={value} max={120} /></span></>)}</li>
    ))}</ul>
  );
}
