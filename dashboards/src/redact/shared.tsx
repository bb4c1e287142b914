// What the API says of redactions, and a tombstone as it is shown.
import { number, plain, Text, Time } from "../text";
import type { Document } from "../types";

export interface Shown {
  events: number; shown: { id: string; time: string; document: Document }[]; fields: string[];
  partitions: { partition: string; events: number; bytes: number }[]; confirm: string;
}
export interface Pending {
  id: string; when: string; who: string; reason: string; fields: string[]; events: number; partitions: number; rewritten: number;
}
export interface Stone {
  id: string; time: number | string; when?: string; who: string; reason: string; fields: string[];
  events: { event: string; time: number | string }[];
  partitions: Record<string, { before: unknown; after: unknown }>; proof?: { signature: string };
}
export interface Followed { done: boolean; pending?: Pending; redaction?: Stone }

/** Fields that go with the whole event alone. */
export const KEPT = new Set(["timestamp", "event.id", "event_type", "agent.id"]);

export const events = (count: number) => (count === 1 ? "1 event" : `${number(count)} events`);
/** What is to be typed before anything is taken: without separators, as people type numbers. */
export const phrase = (count: number) => `redact ${count === 1 ? "1 event" : `${count} events`}`;
export const extent = (fields: string[]) => (fields.length ? `only the fields ${fields.join(", ")}` : "whole");
/** Times of the journal are microseconds, and text when they are too long for a number. */
export const iso = (micros: number | string) => new Date(Number(micros) / 1000).toISOString();

export function Tombstone(props: { stone: Stone }) {
  const { stone } = props;
  const partitions = Object.entries(stone.partitions);
  return (
    <div>
      <dl class="facts">
        <dt>Redaction</dt><dd class="mono">{plain(stone.id)}</dd>
        <dt>Ordered</dt><dd><Time value={stone.when ?? iso(stone.time)} /> by {plain(stone.who)}</dd>
        <dt>Reason</dt><dd><Text value={stone.reason} max={1_000} lines /></dd>
        <dt>Gone</dt><dd>{events(stone.events.length)}, {plain(extent(stone.fields))}</dd>
        <dt>Partitions</dt><dd>{partitions.map(([name, part]) => <div><span class="mono">{plain(name)}</span> {part.after ? "written anew under a new key" : "gone meanwhile, with its key"}</div>)}</dd>
      </dl>
      <details class="small"><summary>Keyed hashes of the events, and the signature</summary>
        <ul class="bare scroll mono">{stone.events.map((one) => <li>{plain(one.event)} <Time value={iso(one.time)} precise /></li>)}</ul>
        {stone.proof && <p class="mono"><Text value={stone.proof.signature} /></p>}
      </details>
    </div>
  );
}

export function Progress(props: { pending: Pending }) {
  const { partitions, rewritten } = props.pending;
  return <p role="status"><progress max={Math.max(1, partitions)} value={rewritten} aria-label="Partitions written anew" /> {rewritten} of {number(partitions)} partitions are written anew{rewritten >= partitions && ", letting go of the log before"}</p>;
}
