// What is to be known of an answer: remarks on the query, what is missing, how complete the events are.
import { useState } from "preact/hooks";
import { plain } from "../text";
import type { Completeness, SearchResponse } from "../types";

export function Notes(props: { answer: SearchResponse }) {
  const { missing = [], notes = [] } = props.answer;
  return (
    <>
      {notes.map((one) => <div class="warning" role="status">{plain(one.words)}.</div>)}
      {missing.length > 0 && <div class="warning" role="status"><div><strong>Partial.</strong> {missing.map((one) => <div>{plain(one.words)}.</div>)}</div></div>}
    </>
  );
}

const WORDS: Record<Completeness["state"], string> = {
  complete: "Complete: nothing is known to be missing in this time.",
  arriving: "The newest events are still arriving.",
  incomplete: "Incomplete: events of this time may be missing.",
};

export function Complete(props: { completeness: Completeness; all?: string }) {
  const { state, reasons, more } = props.completeness;
  const [open, show] = useState(false);
  return (
    <span class={`completeness ${state}`}>
      {" "}<span aria-hidden="true">{state === "complete" ? "✓" : state === "arriving" ? "…" : "!"}</span> {WORDS[state]}
      {reasons.length > 0 && <> <button type="button" class="linkish" aria-expanded={open} onClick={() => show(!open)}>{open ? "Hide" : "Why"}</button></>}
      {open && (
        <ul>
          {reasons.map((one) => <li>{plain(one.words)} <a href={one.link.startsWith("#/") ? one.link : "#/agents"}>more</a></li>)}
          {(more > 0 || props.all) && <li><a href={props.all ?? "#/agents"}>{more > 0 ? `and ${more} further reasons` : "All of this time"}</a></li>}
        </ul>
      )}
    </span>
  );
}
