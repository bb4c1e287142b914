// The query bar: text, suggestions of the collector, errors under the column they mean, help.
import { useEffect, useRef, useState } from "preact/hooks";
import { type ApiError, call } from "../api";
import type { Completion, FieldInfo, Suggestion } from "../types";
import { Dialog } from "../ui";
import { plain, short } from "../text";

const EXAMPLES: [string, string][] = [
  ["10.0.0.7", "an address, a word, a whole value in any field"],
  ['event_type:dns dns.rrname:*.example.com', "terms side by side must all hold; * and ? are wildcards"],
  ['message:"Failed password"', "a phrase"],
  ["event.outcome:(failure OR denied) NOT user.name:root", "or, not, groups"],
  ["dest_port:[1 TO 1023]  flow.bytes_toserver:>1000000", "ranges, comparisons"],
  ["src_ip:10.0.0.0/8  dest_ip:10.1.*", "networks"],
  ["http.http_user_agent:*", "the field has a value"],
  ["user.name IN (root, admin*)  http.url:/.*\\.php[0-9]?/", "one of a list; a regular expression, which must fit the whole value"],
  ["event_type:dns | top 10 dns.rrname", "stages behind |: the most frequent values"],
  ["event_type:flow | stats sum(flow.bytes_toserver) as up, count() by src_ip | sort -up | head 20", "groups, in order"],
  ["event_type:alert | timechart span=1h count() by detection.severity", "a chart over time"],
  ['tls.sni:a\\*b', "a backslash takes the next character literally"],
];

export function QueryHelp(props: { close: () => void; fields: FieldInfo[]; use: (query: string) => void }) {
  const [filter, set] = useState("");
  const found = props.fields.filter((one) => `${one.name} ${one.alias} ${one.doc}`.toLowerCase().includes(filter.toLowerCase()));
  return (
    <Dialog title="Query syntax" close={props.close} wide>
      <table class="plain"><tbody>{EXAMPLES.map(([query, what]) => (
        <tr><td><button type="button" class="linkish mono" onClick={() => { props.use(query); props.close(); }}>{query}</button></td><td>{what}</td></tr>
      ))}</tbody></table>
      <h3>Fields</h3>
      <input aria-label="Filter fields" placeholder="Filter fields" value={filter} onInput={(e) => set(e.currentTarget.value)} />
      <div class="scroll short"><table class="plain"><thead><tr><th>Name</th><th>Also</th><th>Type</th><th>Holds</th></tr></thead><tbody>
        {found.map((one) => <tr><td class="mono">{one.name}</td><td class="mono muted">{one.alias}</td><td>{one.type}</td><td>{one.doc}</td></tr>)}
      </tbody></table></div>
    </Dialog>
  );
}

const NONE: Completion = { from: 0, to: 0, items: [] };

/** What could stand at the caret, asked for when typing pauses. */
function useOffers(): [Completion, (text: string, caret: number) => void, () => void] {
  const [found, set] = useState<Completion>(NONE);
  const waiting = useRef<{ timer?: ReturnType<typeof setTimeout>; abort?: AbortController }>({});
  const close = () => {
    clearTimeout(waiting.current.timer);
    waiting.current.abort?.abort();
    set(NONE);
  };
  useEffect(() => close, []);
  const ask = (text: string, caret: number) => {
    clearTimeout(waiting.current.timer);
    waiting.current.abort?.abort();
    const abort = (waiting.current.abort = new AbortController());
    // The collector counts characters, the browser halves of some.
    const place = [...text.slice(0, caret)].length;
    waiting.current.timer = setTimeout(() => {
      call<Completion>("POST", "/api/v1/complete", { text, place }, abort.signal).then(
        (got) => set(got.items.length === 1 && got.items[0]!.text.trimEnd() === [...text].slice(got.from, got.to).join("") ? NONE : got),
        () => set(NONE),
      );
    }, 120);
  };
  return [found, ask, close];
}

export function QueryBar(props: { query: string; fields: FieldInfo[]; error: ApiError | null; busy: boolean; run: (query: string) => void }) {
  const [text, set] = useState(props.query);
  const [help, showHelp] = useState(false);
  const [at, move] = useState(-1);
  const [found, ask, shut] = useOffers();
  const input = useRef<HTMLInputElement>(null);
  useEffect(() => set(props.query), [props.query]);
  const offers = found.items.slice(0, 10);
  const close = () => { shut(); move(-1); };
  const accept = (one: Suggestion) => {
    const letters = [...text];
    const head = letters.slice(0, found.from).join("") + one.text;
    const next = head + letters.slice(found.to).join("");
    set(next);
    close();
    requestAnimationFrame(() => {
      input.current?.focus();
      input.current?.setSelectionRange(head.length, head.length);
      // A name wants a value; behind a whole term the list would only cover what is below.
      if (/[:(]$/.test(one.text)) ask(next, head.length);
    });
  };
  const keys = (event: KeyboardEvent) => {
    if (event.key === " " && event.ctrlKey) {
      event.preventDefault();
      ask(text, input.current?.selectionStart ?? text.length);
    }
    if (!offers.length) return;
    if (event.key === "ArrowDown" || event.key === "ArrowUp") {
      event.preventDefault();
      // One place more than there are offers: none of them.
      const places = offers.length + 1;
      const next = (at + 1 + (event.key === "ArrowDown" ? 1 : -1) + places) % places;
      move(next - 1);
    } else if (event.key === "Escape") close();
    else if ((event.key === "Enter" || event.key === "Tab") && at >= 0) {
      event.preventDefault();
      accept(offers[at]!);
    }
  };
  const column = props.error?.column;
  return (
    <form class="bar" role="search" onSubmit={(e) => { e.preventDefault(); close(); props.run(text); }}>
      <div class="query">
        <input ref={input} data-main-input class="mono" type="text" value={text} spellcheck={false} autocomplete="off" autocapitalize="none"
          aria-label="Query" placeholder="Everything. Try event_type:dns or an address" role="combobox" aria-expanded={offers.length > 0} aria-controls="offers"
          aria-activedescendant={at >= 0 ? `offer${at}` : undefined} aria-invalid={!!props.error} aria-describedby={props.error ? "query-error" : undefined}
          onInput={(e) => { const el = e.currentTarget; set(el.value); move(-1); el.value.trim() ? ask(el.value, el.selectionStart ?? 0) : close(); }}
          onKeyDown={keys} onBlur={() => setTimeout(close, 150)} />
        {offers.length > 0 && (
          <ul id="offers" role="listbox" class="offers">{offers.map((one, n) => (
            <li id={`offer${n}`} role="option" aria-selected={n === at} onMouseDown={(e) => { e.preventDefault(); accept(one); }}>
              <span class="mono">{plain(one.text)}</span><span class="muted">{plain(one.detail)}{one.events !== null && ` ${short(one.events)} events`}</span>
            </li>
          ))}</ul>
        )}
        {props.error && (
          <div id="query-error" class="failure" role="alert">
            <div>
              {column && column > 0 && <pre class="where">{`${plain(props.query)}\n${" ".repeat(column - 1)}^`}</pre>}
              <span>{plain(props.error.message)}</span>
            </div>
          </div>
        )}
      </div>
      <button type="button" class="icon" aria-label="Query syntax and fields" title="Query syntax and fields" onClick={() => showHelp(true)}>?</button>
      <button class="primary" aria-busy={props.busy}>{props.busy ? "Searching…" : "Search"}</button>
      {help && <QueryHelp fields={props.fields} close={() => showHelp(false)} use={(query) => { set(query); props.run(query); }} />}
    </form>
  );
}
