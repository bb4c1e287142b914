// Events in their order: time, kind, host, one line each. The head of the times turns the order.
import { useEffect, useRef } from "preact/hooks";
import { endpoints, field, summary } from "../query";
import { plain, Text, Time } from "../text";
import type { Document, Order } from "../types";

export interface Row { id: string; document: Document }

export function Rows(props: { rows: Row[]; chosen: string; choose: (id: string) => void; order?: Order; turn?: (order: Order) => void }) {
  const body = useRef<HTMLTableSectionElement>(null);
  const { turn } = props;
  const oldest = props.order === "oldest";
  useEffect(() => {
    body.current?.querySelector("[aria-selected=true]")?.scrollIntoView({ block: "nearest" });
  }, [props.chosen]);
  return (
    <table class="rows events">
      <thead><tr><th scope="col" aria-sort={oldest ? "ascending" : "descending"}>{turn
        ? <button type="button" class="linkish" title={oldest ? "Newest first" : "Oldest first"} onClick={() => turn(oldest ? "newest" : "oldest")}>Time <span aria-hidden="true">{oldest ? "↑" : "↓"}</span></button>
        : "Time"}</th><th scope="col">Type</th><th scope="col">Host</th><th scope="col">What happened</th></tr></thead>
      <tbody ref={body}>
        {props.rows.map(({ id, document }) => (
          <tr key={id} aria-selected={id === props.chosen} onClick={() => props.choose(id)}>
            <td class="nowrap mono"><button type="button" class="linkish" aria-label="Open the event"><Time value={field(document, "timestamp")} precise /></button></td>
            <td><span class={`type t-${/^[a-z]+$/.exec(field(document, "event_type"))?.[0] ?? "other"}`}>{plain(field(document, "event_type"))}</span></td>
            <td class="nowrap clip">{plain(field(document, "host.name") || field(document, "agent.id"))}</td>
            <td class="line"><Text value={summary(document)} max={400} />{endpoints(document) && <span class="ends mono">{plain(endpoints(document))}</span>}</td>
          </tr>
        ))}
      </tbody>
    </table>
  );
}
