// The storage: how long each class of data lasts, where it lies and how much room there is, what is not searched,
// what goes and moves next, what was destroyed.
import { get } from "./api";
import { link } from "./hash";
import { bytes, number, plain, Text, Time } from "./text";
import type { Destroyed, Folder, StoreFigures, Upkeep, UpkeepClass } from "./types";
import { Empty, Failure, Loading, useFetched } from "./ui";

/** Partitions that are not searched and listed one by one. */
const LISTED = 12;

/** Shares of a disk: events, other things, free; each 0 to 100. */
export function shares(folder: Folder): [number, number, number] {
  const size = folder.size ?? 0;
  if (!folder.there || size <= 0 || folder.free === null) return [0, 0, 0];
  const free = Math.min(100, (folder.free / size) * 100);
  const own = Math.min(100 - free, (folder.bytes / size) * 100);
  return [own, 100 - free - own, free];
}

function Room(props: { folder: Folder }) {
  const { folder } = props;
  const [own, others, free] = shares(folder);
  const name = folder.warm ? "Warm folder" : "Data folder";
  return (
    <section class="card">
      <h3>{name}</h3>
      <p class="mono small"><Text value={folder.path} /></p>
      {!folder.there && <Failure error="It is not there. Mount it: it is used again within seconds, without a restart." />}
      {folder.there && <>
        <p><span class="big">{bytes(folder.bytes)}</span> in {number(folder.partitions)} partitions</p>
        {folder.warm && folder.size === null && <p class="small muted">It is made with the first move.</p>}
        {folder.size !== null && folder.free !== null && <>
          <svg class="ledger-bar" viewBox="0 0 100 10" preserveAspectRatio="none" role="img" aria-label={`${name}: ${bytes(folder.free)} of ${bytes(folder.size)} free`}>
            <rect class="p-none" width="100" height="10" /><rect class="p-hidden" width={own} height="10" /><rect class="p-thinned" x={own} width={others} height="10" />
          </svg>
          <p class="small">{bytes(folder.free)} of {bytes(folder.size)} free{free < 10 && <span class="warn"> (less than a tenth)</span>}</p>
        </>}
      </>}
    </section>
  );
}

function Kept(props: { one: UpkeepClass }) {
  const { keep_days, keep_bytes } = props.one;
  const limits = [keep_days !== null && `${number(keep_days)} days`, keep_bytes !== null && bytes(keep_bytes)].filter(Boolean);
  return <>{limits.join(", ") || "for ever"}</>;
}

function Classes(props: { classes: UpkeepClass[] }) {
  return (
    <section>
      <h2>Classes of data</h2>
      <table class="plain cards-narrow"><thead><tr><th>Class</th><th>Kept</th><th class="num">Events</th><th class="num">Size</th><th class="num">Partitions</th><th>Oldest day</th><th class="num">A day</th><th>Lasts</th><th>Goes next</th></tr></thead>
        <tbody>{props.classes.map((one) => (
          <tr key={one.class}><th scope="row">{plain(one.class)}</th>
            <td data-label="Kept"><Kept one={one} /></td>
            <td class="num" data-label="Events">{one.documents === null ? "–" : number(one.documents)}</td>
            <td class="num" data-label="Size">{bytes(one.bytes)}{one.warm_bytes > 0 && <div class="small muted">{bytes(one.warm_bytes)} warm</div>}</td>
            <td class="num" data-label="Partitions">{number(one.partitions)}</td>
            <td data-label="Oldest day">{one.oldest ?? "–"}</td>
            <td class="num" data-label="A day">{one.bytes_a_day === null ? <span class="muted">not known yet</span> : bytes(one.bytes_a_day)}</td>
            <td data-label="Lasts">{one.lasts_days === null ? "for ever" : `${number(one.lasts_days)} days`}{one.limited_by && <span class="muted"> by {one.limited_by}</span>}</td>
            <td data-label="Goes next">{one.next ? <><span class="mono">{plain(one.next.partition)}</span> on {one.next.on}<div class="small muted">{bytes(one.next.bytes)}, by {one.next.reason}</div></> : "nothing"}</td></tr>
        ))}</tbody></table>
    </section>
  );
}

function Lacking(props: { upkeep: Upkeep }) {
  const { lacking } = props.upkeep;
  if (!lacking.length) return null;
  return (
    <section>
      <h2>Not searched</h2>
      <table class="plain cards-narrow"><thead><tr><th>Partition</th><th>Lies in</th><th>Why</th></tr></thead>
        <tbody>{lacking.slice(0, LISTED).map((one) => <tr key={one.name}><th scope="row" class="mono">{plain(one.name)}</th><td data-label="Lies in">{one.warm ? "the warm folder" : "the data folder"}</td>
          <td data-label="Why" class="bad">{one.standing === "away" ? "its folder is not there" : "it cannot be read now; it is tried again every few seconds"}</td></tr>)}</tbody></table>
      {lacking.length > LISTED && <p class="muted">and {number(lacking.length - LISTED)} more</p>}
    </section>
  );
}

function Moves(props: { upkeep: Upkeep; store: StoreFigures | undefined }) {
  const { moves } = props.upkeep;
  if (!moves) return null;
  const { next } = moves;
  const limits = [moves.keep_days !== null && `${number(moves.keep_days)} days`, moves.keep_bytes !== null && bytes(moves.keep_bytes)].filter(Boolean);
  return (
    <section class="card">
      <h3>Moves to the warm folder</h3>
      <p>{limits.join(" or ")} may stay in the data folder, and an hour for what is late.</p>
      <p>{next ? <>Next: <span class="mono">{plain(next.partition)}</span> ({bytes(next.bytes)}){next.on && <> on {next.on}</>}, by {next.reason}</> : "Nothing is there to move."}</p>
      {props.store && <p class="small muted">{number(props.store.warm.moved)} moved since the start{props.store.warm.failed > 0 && <span class="warn">, {number(props.store.warm.failed)} tries failed</span>}</p>}
    </section>
  );
}

function Skips(props: { store: StoreFigures }) {
  const { current, outdated, damaged, skipped_by_time, skipped_by_terms } = props.store.summaries;
  return (
    <section class="card">
      <h3>Partitions that searches skip</h3>
      <p><span class="big">{number(skipped_by_time + skipped_by_terms)}</span> since the start</p>
      <p class="small">{number(skipped_by_time)} because of their time, {number(skipped_by_terms)} because they lack a term</p>
      <p class="small muted">Summaries: {number(current)} in use, {number(outdated)} not made yet{damaged > 0 && <span class="warn">, {number(damaged)} damaged</span>}</p>
    </section>
  );
}

function Segments(props: { store: StoreFigures }) {
  const { segments, merges, merges_failed } = props.store;
  return (
    <section class="card">
      <h3>Segments of the index</h3>
      <p><span class="big">{number(segments)}</span> in all partitions</p>
      <p class="small">{merges === 1 ? "1 merge" : `${number(merges)} merges`} in quiet partitions since the start{merges_failed > 0 && <span class="warn">, {number(merges_failed)} failed</span>}</p>
    </section>
  );
}

function Gone(props: { destroyed: Destroyed }) {
  const { destroyed } = props;
  return (
    <section>
      <h2>Destroyed</h2>
      {!destroyed.partitions && <Empty title="Nothing was destroyed yet.">A partition goes as a whole, by destroying its key; a signed statement stays.</Empty>}
      {destroyed.partitions > 0 && <>
        <p>{number(destroyed.partitions)} partitions with {number(destroyed.documents)} events, {bytes(destroyed.bytes)}; the last:</p>
        <table class="plain cards-narrow"><thead><tr><th>When</th><th>Partition</th><th class="num">Events</th><th class="num">Size</th><th>Why</th><th>Proof</th></tr></thead>
          <tbody>{destroyed.last.map((one) => <tr key={`${one.partition}/${one.when}`}><th scope="row"><Time value={one.when} /></th><td data-label="Partition" class="mono">{plain(one.partition)}</td>
            <td class="num" data-label="Events">{number(one.documents)}</td><td class="num" data-label="Size">{bytes(one.bytes)}</td><td data-label="Why">{plain(one.reason)}</td>
            <td data-label="Proof"><details class="small"><summary>{one.shredded ? "key destroyed" : "removed, its key was shared"}</summary><p class="mono"><Text value={one.proof.statement} max={4_000} lines /></p><p class="mono">Ed25519 <Text value={one.proof.signature} /></p></details></td></tr>)}</tbody></table>
      </>}
    </section>
  );
}

export function StoragePage() {
  const found = useFetched((signal) => get<Upkeep>("/api/v1/retention", signal), [], 15_000);
  const ledger = useFetched((signal) => get<{ store: StoreFigures }>("/api/v1/ledger", signal), [], 15_000);
  const upkeep = found.value;
  const store = ledger.value?.store;
  const away = store?.warm.away;
  return (
    <div class="page storage">
      <header class="row wrap"><h1>Storage</h1>{store && <span class="muted" role="status">{number(store.documents)} events searchable in {number(store.partitions)} partitions, index {bytes(store.index_bytes)}, log {bytes(store.log_bytes)}</span>}</header>
      <Failure error={found.error ?? ledger.error} again={found.again} />
      {!upkeep && !found.error && <Loading />}
      {away && <Failure error={`The warm folder ${away.folder} is not there: ${away.days.length === 1 ? "1 day is" : `${number(away.days.length)} days are`} not searched, and nothing is moved.`} />}
      {store && store.problems.length > 0 && <ul class="problems">{store.problems.map((one) => <li><strong>{plain(one.what)}</strong> <span class="mono small">{plain(one.path)}</span> {plain(one.advice)}</li>)}</ul>}
      {upkeep && <>
        <div class="tiles">{upkeep.folders.map((one) => <Room folder={one} />)}<Moves upkeep={upkeep} store={store} />{store && <Skips store={store} />}{store && <Segments store={store} />}</div>
        <Lacking upkeep={upkeep} />
        <Classes classes={upkeep.classes} />
        {upkeep.destroyed && <Gone destroyed={upkeep.destroyed} />}
        <p class="muted small">What is missing from a time is told with each search, and under <a href={link("complete")}>What is missing</a>.</p>
      </>}
    </div>
  );
}
