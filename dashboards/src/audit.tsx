// The audit log: what people and programs did and asked for, and whether its chain is whole.
import { useState } from "preact/hooks";
import { get, post, words } from "./api";
import { number, plain, Text, Time } from "./text";
import type { AuditChecked, AuditPage, AuditRecord } from "./types";
import { attempt, Empty, Failure, Loading, useFetched } from "./ui";

const iso = (micros: number) => new Date(micros / 1000).toISOString();
const BY: Record<AuditRecord["by"], string> = { nobody: "nobody known", person: "person", program: "token", command: "command", collector: "collector" };

function Chain(props: { page: AuditPage; again: () => void }) {
  const { checked, upto } = props.page;
  const look = () => attempt(() => post<AuditChecked>("/api/v1/audit/check", {}), "Looked through").then(props.again);
  return (
    <div class="row">
      {!checked && <span class="muted">Not looked through yet; {number(upto)} records.</span>}
      {checked && !checked.findings.length && <span>Chain whole up to record {number(checked.upto)} of {number(upto)}{checked.from > 0 && <> from {number(checked.from)} on (older ones were cut, which is signed for)</>}, checked <Time value={iso(checked.time)} ago />.</span>}
      <span class="spacer" />
      <button type="button" onClick={() => void look()}>Look through now</button>
      {checked?.findings.map((one) => <Failure error={`${one.path}: ${one.what}`} />)}
    </div>
  );
}

function Row(props: { record: AuditRecord }) {
  const { record } = props;
  return (
    <tr>
      <td data-label="Number">{record.number}</td>
      <td data-label="Time"><Time value={iso(record.time)} precise /></td>
      <td data-label="Who">{plain(record.who) || <span class="muted">{BY[record.by]}</span>}{record.who && <> <span class="muted">{BY[record.by]}</span></>}{record.from && <> <span class="muted">from {plain(record.from)}</span></>}</td>
      <td data-label="What"><code>{plain(record.action)}</code>{record.object && !record.action.endsWith(` ${record.object}`) && <> <code>{plain(record.object)}</code></>}</td>
      <td data-label="Ended">{plain(record.outcome)}</td>
      <td data-label="With">{Object.entries(record.about).map(([name, value]) => <div><span class="muted">{plain(name)}</span> <Text value={value} max={300} /></div>)}</td>
    </tr>
  );
}

export function Audit() {
  const [text, filter] = useState("");
  const path = `/api/v1/audit?limit=50&text=${encodeURIComponent(text)}`;
  const first = useFetched((signal) => get<AuditPage>(path, signal), [text]);
  const [more, add] = useState<{ path: string; records: AuditRecord[]; next: number | null } | null>(null);
  const [error, fail] = useState<string | null>(null);
  const older = more?.path === path ? more : null;
  const next = older ? older.next : first.value?.next ?? null;
  const load = async () => {
    try {
      const page = await get<AuditPage>(`${path}&before=${next}`);
      add({ path, records: [...(older?.records ?? []), ...page.records], next: page.next });
      fail(null);
    } catch (problem) {
      fail(words(problem));
    }
  };
  const records = [...(first.value?.records ?? []), ...(older?.records ?? [])];
  return (
    <section>
      <header class="row"><h2>Audit log</h2><span class="spacer" />
        <form onSubmit={(event) => { event.preventDefault(); filter(String(new FormData(event.currentTarget as HTMLFormElement).get("text") ?? "")); }}>
          <label>Holds <input name="text" type="search" maxLength={200} spellcheck={false} /></label>
        </form>
      </header>
      <Failure error={first.error ?? error} again={first.again} />
      {!first.value && !first.error && <Loading />}
      {first.value && <Chain page={first.value} again={first.again} />}
      {first.value && !records.length && <Empty title="No record holds this." />}
      {!!records.length && <table class="plain cards-narrow"><thead><tr><th>Number</th><th>Time</th><th>Who</th><th>What</th><th>Ended</th><th>With</th></tr></thead><tbody>
        {records.map((record) => <Row key={record.number} record={record} />)}</tbody></table>}
      {next !== null && <button type="button" onClick={() => void load()}>Older ones</button>}
    </section>
  );
}
