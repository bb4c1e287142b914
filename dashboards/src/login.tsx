// Login and change of the own password.
import { useState } from "preact/hooks";
import { ApiError, post, words } from "./api";
import type { Session } from "./types";
import { Failure, say } from "./ui";

export function Login(props: { done: (session: Session) => void }) {
  const [error, fail] = useState<string | null>(null);
  const [busy, work] = useState(false);
  const submit = async (event: SubmitEvent) => {
    event.preventDefault();
    const form = new FormData(event.currentTarget as HTMLFormElement);
    work(true);
    fail(null);
    try {
      props.done(await post<Session>("/api/v1/login", { name: form.get("name"), password: form.get("password") }));
    } catch (problem) {
      const code = problem instanceof ApiError ? problem.code : "";
      fail(code === "too_many" ? `${words(problem)}. Wait a minute, then try again.` : words(problem));
      work(false);
    }
  };
  return (
    <main class="alone">
      <h1><img src="/icon.svg" alt="" width="28" height="28" /> Pikett</h1>
      <form class="stack" onSubmit={submit}>
        <label>User<input name="name" autocomplete="username" autocapitalize="none" spellcheck={false} required autofocus /></label>
        <label>Password<input name="password" type="password" autocomplete="current-password" required /></label>
        <Failure error={error} />
        <button class="primary" disabled={busy}>{busy ? "Logging in…" : "Log in"}</button>
      </form>
      <p class="muted small">The first user and its password are printed by <code>pikett-collector init</code>. An administrator adds further users under Settings.</p>
    </main>
  );
}

export function PasswordForm(props: { done: (session: Session) => void; user: string }) {
  const [error, fail] = useState<string | null>(null);
  const [busy, work] = useState(false);
  const submit = async (event: SubmitEvent) => {
    event.preventDefault();
    const element = event.currentTarget as HTMLFormElement;
    const form = new FormData(element);
    if (form.get("new") !== form.get("again")) return fail("The two new passwords differ; type the same one twice.");
    work(true);
    fail(null);
    try {
      const session = await post<Session>("/api/v1/password", { old: form.get("old"), new: form.get("new") });
      element.reset();
      say("Password changed");
      props.done(session);
    } catch (problem) {
      fail(words(problem));
    }
    work(false);
  };
  return (
    <form class="stack" onSubmit={submit}>
      <input class="hide" name="name" autocomplete="username" value={props.user} readOnly tabIndex={-1} aria-hidden="true" />
      <label>Present password<input name="old" type="password" autocomplete="current-password" required /></label>
      <label>New password<input name="new" type="password" autocomplete="new-password" required minLength={12} aria-describedby="rule" /></label>
      <p id="rule" class="muted small">At least 12 characters. A sentence of your own is easier to keep than a riddle.</p>
      <label>New password again<input name="again" type="password" autocomplete="new-password" required /></label>
      <Failure error={error} />
      <button class="primary" disabled={busy}>{busy ? "Changing…" : "Change password"}</button>
    </form>
  );
}
