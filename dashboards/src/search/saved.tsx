// Kept searches: choose one, keep the present one, remove one.
import { useState } from "preact/hooks";
import { get, post, remove } from "../api";
import { plain } from "../text";
import type { SavedSearch } from "../types";
import { attempt, Dialog, Empty, useFetched } from "../ui";
import type { Range } from "./time";

export function Saved(props: { query: string; range: Range; may: boolean; user: string; open: (search: SavedSearch) => void; close: () => void }) {
  const [turn, again] = useState(0);
  const [name, setName] = useState("");
  const [shared, share] = useState(false);
  const list = useFetched((signal) => get<SavedSearch[]>("/api/v1/searches", signal), [turn]);
  const keep = async (event: Event) => {
    event.preventDefault();
    const body = { name, query: props.query, from: props.range.from || null, to: props.range.to || null, shared };
    if (await attempt(() => post("/api/v1/searches/save", body), "The search is kept.")) {
      setName("");
      again((n) => n + 1);
    }
  };
  const drop = async (one: SavedSearch) => {
    if (await attempt(() => remove(`/api/v1/searches/${encodeURIComponent(one.id)}`), "The search is removed.")) again((n) => n + 1);
  };
  return (
    <Dialog title="Kept searches" close={props.close} wide>
      {list.value?.length === 0 && <Empty title="No search is kept yet." />}
      <table class="plain"><tbody>{(list.value ?? []).map((one) => (
        <tr>
          <td><button type="button" class="linkish" onClick={() => { props.open(one); props.close(); }}>{plain(one.name)}</button></td>
          <td class="mono">{plain(one.query) || "everything"}</td>
          <td class="muted nowrap">{plain(one.from ?? "all times")}</td>
          <td class="muted nowrap">{one.shared ? `shared by ${plain(one.owner)}` : "own"}</td>
          <td>{props.may && one.owner === props.user && <button type="button" class="icon" aria-label={`Remove ${plain(one.name)}`} title="Remove" onClick={() => void drop(one)}>✕</button>}</td>
        </tr>
      ))}</tbody></table>
      {props.may && (
        <form class="stack" onSubmit={(event) => void keep(event)}>
          <h3>Keep the present search</h3>
          <p class="mono">{plain(props.query) || "everything"}</p>
          <label>Name<input value={name} maxLength={100} required onInput={(e) => setName(e.currentTarget.value)} /></label>
          <label class="choice"><input type="checkbox" checked={shared} onChange={(e) => share(e.currentTarget.checked)} />Everybody sees it</label>
          <footer><button class="primary">Keep</button></footer>
        </form>
      )}
    </Dialog>
  );
}
