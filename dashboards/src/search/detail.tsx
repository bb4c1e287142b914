// One event: every field with its value, ways on from it, and the record as it is stored.
import { useState } from "preact/hooks";
import { link } from "../hash";
import { endpoints, field, flatten, quote, summary } from "../query";
import { millis, plain, Text, Time } from "../text";
import type { Document } from "../types";
import { copy } from "../ui";

function pivots(document: Document): [string, string][] {
  const found: [string, string][] = [];
  const time = millis(field(document, "timestamp"));
  const around = (minutes: number) => ({ from: new Date(time - minutes * 60_000).toISOString(), to: new Date(time + minutes * 60_000).toISOString() });
  const community = field(document, "community_id");
  if (community) found.push(["Same flow", link("search", { q: `community_id:${quote(community)}`, ...around(60) })]);
  for (const [name, title] of [["host.name", "Same host"], ["src_ip", "Same source"], ["dest_ip", "Same destination"], ["user.name", "Same user"]] as const) {
    const value = field(document, name);
    if (value) found.push([`${title}, ±5 min`, link("search", { q: `${name}:${quote(value)}`, ...around(5) })]);
  }
  return found;
}

export function Detail(props: { document: Document; close: () => void; narrow?: (field: string, value: string, not: boolean) => void; redact?: () => void }) {
  const [raw, setRaw] = useState(false);
  const { document } = props;
  const text = JSON.stringify(document, null, 2);
  return (
    <section class="detail" aria-label="Event">
      <header>
        <h2><span class="type">{plain(field(document, "event_type"))}</span> <Time value={field(document, "timestamp")} precise /></h2>
        <button type="button" class="icon" aria-label="Close the event" onClick={props.close}>✕</button>
      </header>
      <p class="lead"><Text value={summary(document)} max={600} /></p>
      {endpoints(document) && <p class="mono small">{plain(endpoints(document))}</p>}
      <p class="pivots">{pivots(document).map(([title, address]) => <a href={address}>{title}</a>)}</p>
      <div class="tabs" role="group" aria-label="View">
        <button type="button" aria-pressed={!raw} onClick={() => setRaw(false)}>Fields</button>
        <button type="button" aria-pressed={raw} onClick={() => setRaw(true)}>JSON</button>
        <button type="button" class="quiet" onClick={() => void copy(text)}>Copy JSON</button>
        {props.redact && <button type="button" class="quiet danger" onClick={props.redact}>Redact this event</button>}
      </div>
      {raw ? <pre class="raw" tabIndex={0}><Text value={text} lines max={200_000} /></pre> : (
        <table class="fields"><tbody>
          {flatten(document).map(([name, value]) => (
            <tr>
              <th scope="row">{plain(name)}</th>
              <td><Text value={value} lines max={4_000} /></td>
              <td class="acts">
                {props.narrow && <>
                  <button type="button" class="icon" aria-label={`Only this ${name}`} title="Only this value" onClick={() => props.narrow!(name, value, false)}>+</button>
                  <button type="button" class="icon" aria-label={`Without this ${name}`} title="Leave this value out" onClick={() => props.narrow!(name, value, true)}>−</button>
                </>}
                <button type="button" class="icon" aria-label={`Copy ${name}`} title="Copy" onClick={() => void copy(value)}>copy</button>
              </td>
            </tr>
          ))}
        </tbody></table>
      )}
    </section>
  );
}
