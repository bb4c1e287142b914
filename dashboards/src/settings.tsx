// Settings: the own password for everybody; users, tokens, redactions and the audit log for administrators.
import { useState } from "preact/hooks";
import type { Rights } from "./app";
import { Audit } from "./audit";
import { get, post, put, remove, words } from "./api";
import { PasswordForm } from "./login";
import { Redactions } from "./redact/list";
import { plain, Time } from "./text";
import type { Role, Session, TokenInfo, UserInfo } from "./types";
import { attempt, Badge, Dialog, Empty, Failure, Loading, Reveal, useFetched } from "./ui";

const ROLES: [Role, string][] = [["viewer", "looks"], ["responder", "looks, acknowledges and closes alerts"], ["analyst", "as responder, for people who search and hunt"], ["admin", "may everything"]];
const SCOPES: [string, string][] = [["ingest", "send events"], ["read", "search, read alerts"], ["respond", "acknowledge and close alerts"], ["tune", "make and end exceptions"], ["metrics", "read /metrics"]];
interface Secret { title: string; text: string; hint: string }

function UserForm(props: { user: UserInfo | null; close: () => void; done: (secret: Secret | null) => void }) {
  const { user } = props;
  const [error, fail] = useState<string | null>(null);
  const submit = async (event: SubmitEvent) => {
    event.preventDefault();
    const form = new FormData(event.currentTarget as HTMLFormElement);
    const body = { name: user?.name ?? String(form.get("name")), role: form.get("role"), mail: String(form.get("mail") ?? "") };
    try {
      if (user) {
        await put(`/api/v1/users/${encodeURIComponent(user.name)}`, body);
        return props.done(null);
      }
      const made = await post<{ name: string; secret: string }>("/api/v1/users/add", body);
      props.done({ title: `First password of ${made.name}`, text: made.secret, hint: "Give it to this person over a safe way. It is not shown again and must be changed at the first login." });
    } catch (problem) {
      fail(words(problem));
    }
  };
  return (
    <Dialog title={user ? `Change ${plain(user.name)}` : "Add a user"} close={props.close}>
      <form class="stack" onSubmit={submit}>
        {!user && <label>Name<input name="name" required maxLength={64} autocapitalize="none" spellcheck={false} autofocus /></label>}
        <label>Role<select name="role">{ROLES.map(([role, what]) => <option value={role} selected={role === (user?.role ?? "responder")}>{role}: {what}</option>)}</select></label>
        <label>Mail address, needed to be on call<input name="mail" type="email" maxLength={254} defaultValue={user?.mail ?? ""} /></label>
        <Failure error={error} />
        <footer><button type="button" onClick={props.close}>Cancel</button><button class="primary">{user ? "Save" : "Add and show the password"}</button></footer>
      </form>
    </Dialog>
  );
}

function Users(props: { me: string; reveal: (secret: Secret) => void }) {
  const list = useFetched((signal) => get<UserInfo[]>("/api/v1/users", signal), []);
  const [form, open] = useState<UserInfo | "new" | null>(null);
  const drop = async (name: string) => {
    if (confirm(`Remove the user ${name}? Their sessions end at once.`) && (await attempt(() => remove(`/api/v1/users/${encodeURIComponent(name)}`), "User removed"))) list.again();
  };
  return (
    <section>
      <header class="row"><h2>Users</h2><span class="spacer" /><button type="button" onClick={() => open("new")}>Add a user</button></header>
      <Failure error={list.error} again={list.again} />
      {!list.value && !list.error && <Loading />}
      {list.value && <table class="plain cards-narrow"><thead><tr><th>Name</th><th>Role</th><th>Mail</th><th>Last login</th><th>Added</th><th><span class="hide">Change</span></th></tr></thead><tbody>
        {list.value.map((user) => (
          <tr key={user.name}><th scope="row">{plain(user.name)}{user.must_change && <> <Badge kind="new" title="Has not changed the first password yet">first password</Badge></>}</th>
            <td data-label="Role">{user.role}</td><td data-label="Mail">{plain(user.mail) || <span class="muted">none: cannot be on call</span>}</td>
            <td data-label="Last login"><Time value={user.last_login} /></td><td data-label="Added"><Time value={user.created} /></td>
            <td class="acts"><button type="button" aria-label={`Change ${plain(user.name)}`} onClick={() => open(user)}>Change</button> {user.name !== props.me && <button type="button" class="danger" aria-label={`Remove ${plain(user.name)}`} onClick={() => void drop(user.name)}>Remove</button>}</td></tr>
        ))}</tbody></table>}
      {form && <UserForm user={form === "new" ? null : form} close={() => open(null)} done={(secret) => { open(null); list.again(); if (secret) props.reveal(secret); }} />}
    </section>
  );
}

function TokenForm(props: { close: () => void; done: (secret: Secret) => void }) {
  const [error, fail] = useState<string | null>(null);
  const submit = async (event: SubmitEvent) => {
    event.preventDefault();
    const form = new FormData(event.currentTarget as HTMLFormElement);
    const days = Number(form.get("days"));
    const body = { name: String(form.get("name")), scopes: form.getAll("scope"), ...(days > 0 ? { days } : {}) };
    try {
      const made = await post<{ name: string; secret: string }>("/api/v1/tokens/add", body);
      props.done({ title: `Token ${made.name}`, text: made.secret, hint: "Keep it in the program's secret store; it is not shown again. Send it as “Authorization: Bearer …”." });
    } catch (problem) {
      fail(words(problem));
    }
  };
  return (
    <Dialog title="Make a token" close={props.close}>
      <form class="stack" onSubmit={submit}>
        <label>Name; events sent with it carry it as their agent<input name="name" required maxLength={64} autocapitalize="none" spellcheck={false} autofocus /></label>
        <fieldset><legend>It may</legend>{SCOPES.map(([scope, what]) => <label class="choice"><input type="checkbox" name="scope" value={scope} /><span><strong>{scope}</strong> <span class="muted">{what}</span></span></label>)}</fieldset>
        <label>Days it lasts (empty: until removed)<input name="days" type="number" min="1" max="3650" /></label>
        <Failure error={error} />
        <footer><button type="button" onClick={props.close}>Cancel</button><button class="primary">Make and show the token</button></footer>
      </form>
    </Dialog>
  );
}

function Tokens(props: { reveal: (secret: Secret) => void }) {
  const list = useFetched((signal) => get<TokenInfo[]>("/api/v1/tokens", signal), []);
  const [form, open] = useState(false);
  const drop = async (name: string) => {
    if (confirm(`Remove the token ${name}? Programs that use it are refused at once.`) && (await attempt(() => remove(`/api/v1/tokens/${encodeURIComponent(name)}`), "Token removed"))) list.again();
  };
  return (
    <section>
      <header class="row"><h2>Tokens of programs</h2><span class="spacer" /><button type="button" onClick={() => open(true)}>Make a token</button></header>
      <Failure error={list.error} again={list.again} />
      {list.value?.length === 0 && <Empty title="No program has a token.">Shippers that send to <code>/_bulk</code>, scripts and Prometheus need one.</Empty>}
      {!!list.value?.length && <table class="plain cards-narrow"><thead><tr><th>Name</th><th>May</th><th>Made</th><th>Expires</th><th><span class="hide">Change</span></th></tr></thead><tbody>
        {list.value.map((token) => (
          <tr key={token.name}><th scope="row">{plain(token.name)}</th><td data-label="May">{token.scopes.map((one) => <span class="chip">{plain(one)}</span>)}</td>
            <td data-label="Made"><Time value={token.created} /> <span class="muted">by {plain(token.by)}</span></td><td data-label="Expires">{token.expires ? <Time value={token.expires} /> : "never"}</td>
            <td class="acts"><button type="button" class="danger" aria-label={`Remove ${plain(token.name)}`} onClick={() => void drop(token.name)}>Remove</button></td></tr>
        ))}</tbody></table>}
      {form && <TokenForm close={() => open(false)} done={(secret) => { open(false); list.again(); props.reveal(secret); }} />}
    </section>
  );
}

export function SettingsPage(props: { rights: Rights; session: (session: Session) => void }) {
  const [secret, reveal] = useState<Secret | null>(null);
  return (
    <div class="page">
      <h1>Settings</h1>
      {props.rights.admin && <><Users me={props.rights.user} reveal={reveal} /><Tokens reveal={reveal} /></>}
      <section class="card password"><h2>Your password</h2><PasswordForm user={props.rights.user} done={props.session} /></section>
      {props.rights.admin && <><Redactions /><Audit /></>}
      {secret && <Reveal {...secret} close={() => reveal(null)} />}
    </div>
  );
}
