// The most frequent values of some fields; a click narrows the query to a value or away from it.
import { short, Text, plain } from "../text";
import type { Aggregated } from "../types";

export const FACETS = [
  "event_type", "host.name", "src_ip", "dest_ip", "dest_port", "app_proto", "detection.severity", "detection.engine",
  "alert.signature", "user.name", "dns.rrname", "http.hostname", "tls.sni", "process.name", "agent.id",
];

export function Facets(props: { found: Aggregated[]; total: number; narrow: (field: string, value: string, not: boolean) => void }) {
  const terms = props.found.filter((one) => one.type === "terms" && one.buckets.length > 0);
  return (
    <aside class="facets" aria-label="Frequent values">
      {terms.map((one) => one.type === "terms" && (
        <details open={["event_type", "host.name", "src_ip", "dest_ip", "alert.signature", "user.name"].includes(one.field)}>
          <summary>{one.field}</summary>
          <ul>
            {one.buckets.map((bucket) => (
              <li>
                <button type="button" class="value" title={`Only ${one.field}: ${plain(bucket.value).slice(0, 200)}`} onClick={() => props.narrow(one.field, bucket.value, false)}>
                  <svg class="share" viewBox="0 0 100 1" preserveAspectRatio="none" aria-hidden="true"><rect width={Math.min(100, (bucket.count / Math.max(1, props.total)) * 100)} height="1" /></svg>
                  <span class="clip"><Text value={bucket.value} max={120} /></span><span class="n">{short(bucket.count)}</span>
                </button>
                <button type="button" class="icon" aria-label={`Without ${one.field} ${plain(bucket.value).slice(0, 80)}`} title="Leave this value out" onClick={() => props.narrow(one.field, bucket.value, true)}>−</button>
              </li>
            ))}
          </ul>
          {one.other > 0 && <p class="muted small">and {short(one.other)} with other values</p>}
        </details>
      ))}
    </aside>
  );
}
