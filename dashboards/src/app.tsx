// The shell: who is logged in, navigation, shortcuts that work everywhere.
import { useEffect, useRef, useState } from "preact/hooks";
import { connect, get, keep, post, words } from "./api";
import { AgentsPage } from "./agents";
import { AlertsPage } from "./alerts/page";
import { CompletePage } from "./complete";
import { ExceptionsPage } from "./exceptions/page";
import { go, link, usePlace } from "./hash";
import { Login, PasswordForm } from "./login";
import { OnCallPage } from "./oncall";
import { RulesPage } from "./rules";
import { SearchPage } from "./search/page";
import { SettingsPage } from "./settings";
import { StoragePage } from "./storage";
import { isUtc, setUtc } from "./text";
import { applyTheme, theme, type Theme } from "./theme";
import type { Role, Session } from "./types";
import { Dialog, Empty, Failure, Loading, Notices, useFetched, useKeys } from "./ui";

const RANK: Record<Role, number> = { viewer: 0, responder: 1, analyst: 2, admin: 3 };
export interface Rights { respond: boolean; tune: boolean; admin: boolean; user: string }
const PAGES = [
  ["alerts", "Alerts"], ["search", "Search"], ["exceptions", "Exceptions"], ["rules", "Rules"], ["agents", "Agents"], ["storage", "Storage"], ["oncall", "On call"], ["settings", "Settings"],
] as const;

function LiveCount() {
  const { value } = useFetched((signal) => get<{ total: number }>("/api/v1/alerts?status=open&limit=1", signal), [], 10_000);
  if (!value?.total) return null;
  return <span class="count" aria-label={`${value.total} open`}>{value.total > 999 ? "999+" : value.total}</span>;
}

function Header(props: { session: Session; page: string; signOut: () => void; help: () => void }) {
  const [chosen, choose] = useState<Theme>(theme());
  const [, again] = useState(0);
  const pages = useRef<HTMLElement>(null);
  // On a narrow screen the list of pages is scrolled.
  useEffect(() => {
    const show = () => pages.current?.querySelector("[aria-current]")?.scrollIntoView({ block: "nearest", inline: "nearest" });
    show();
    addEventListener("resize", show);
    return () => removeEventListener("resize", show);
  }, [props.page]);
  return (
    <header class="top">
      <a class="brand" href="#/alerts"><img src="/icon.svg" alt="" width="22" height="22" />Pikett</a>
      <nav aria-label="Pages" ref={pages}>
        {PAGES.map(([page, title]) => (
          <a href={link(page)} aria-current={props.page === page ? "page" : undefined}>
            {title}{page === "alerts" && <LiveCount />}
          </a>
        ))}
      </nav>
      <div class="tools">
        <button type="button" class="quiet" title="Zone of the times shown"
          onClick={() => { setUtc(!isUtc()); again((n) => n + 1); dispatchEvent(new HashChangeEvent("hashchange")); }}>
          {isUtc() ? "UTC" : "Local time"}
        </button>
        <label class="hide">Theme </label>
        <select aria-label="Theme" value={chosen} onChange={(event) => {
          const next = event.currentTarget.value as Theme;
          choose(next);
          applyTheme(next);
        }}>
          <option value="system">System</option><option value="light">Light</option><option value="dark">Dark</option>
        </select>
        <button type="button" class="icon" aria-label="Keyboard shortcuts" title="Keyboard shortcuts (?)" onClick={props.help}>?</button>
        <span class="who" title={props.session.role}>{props.session.user}</span>
        <button type="button" class="quiet" onClick={props.signOut}>Log out</button>
      </div>
    </header>
  );
}

const SHORTCUTS: [string, string][] = [
  ["g then a, s, x, r, n, t, o, e", "alerts, search, exceptions, rules, agents, storage, on call, settings"],
  ["/", "go to the query or filter"],
  ["j, k", "next, previous row"],
  ["Enter", "open the row"],
  ["x", "alerts: select the row"],
  ["a", "alerts: acknowledge the row or the selection"],
  ["c", "alerts: close the open alert"],
  ["e", "alerts: make an exception from the open alert"],
  ["l", "search: live tail on or off"],
  ["Esc", "close what is open"],
  ["?", "this list"],
];

function Help(props: { close: () => void }) {
  return (
    <Dialog title="Keyboard shortcuts" close={props.close}>
      <dl class="keys">{SHORTCUTS.map(([keys, what]) => <><dt><kbd>{keys}</kbd></dt><dd>{what}</dd></>)}</dl>
    </Dialog>
  );
}

function Page(props: { name: string; id: string; params: URLSearchParams; rights: Rights; session: (s: Session) => void }) {
  const { name, rights } = props;
  if (name === "search") return <SearchPage params={props.params} rights={rights} />;
  if (name === "alerts") return <AlertsPage id={props.id} params={props.params} rights={rights} />;
  if (name === "exceptions") return <ExceptionsPage rights={rights} />;
  if (name === "rules") return rights.tune ? <RulesPage /> : <Empty title="Trying rules needs the role analyst.">Ask an administrator.</Empty>;
  if (name === "agents") return <AgentsPage rights={rights} />;
  if (name === "storage") return <StoragePage />;
  if (name === "complete") return <CompletePage params={props.params} />;
  if (name === "oncall") return <OnCallPage rights={rights} />;
  if (name === "settings") return <SettingsPage rights={rights} session={props.session} />;
  return <Empty title="There is no such page."><a href="#/alerts">Go to the alerts</a></Empty>;
}

function Inside(props: { session: Session; set: (s: Session) => void; signOut: () => void }) {
  const place = usePlace();
  const [help, showHelp] = useState(false);
  const waiting = useRef(false);
  const rights: Rights = { respond: RANK[props.session.role] >= 1, tune: RANK[props.session.role] >= 2, admin: RANK[props.session.role] >= 3, user: props.session.user };
  useKeys((event) => {
    if (waiting.current) {
      // The second key of `g x` means nothing else, least of all an action on an alert.
      waiting.current = false;
      event.preventDefault();
      event.stopImmediatePropagation();
      const page = { a: "alerts", s: "search", x: "exceptions", r: "rules", n: "agents", t: "storage", o: "oncall", e: "settings" }[event.key];
      if (page) go(link(page));
    } else if (event.key === "g") waiting.current = true;
    else if (event.key === "?") showHelp(true);
    else if (event.key === "/") {
      event.preventDefault();
      document.querySelector<HTMLElement>("[data-main-input]")?.focus();
    }
  }, true);
  useEffect(() => {
    const title = PAGES.find(([page]) => page === place.page)?.[1];
    document.title = title ? `${title} · Pikett` : "Pikett";
  }, [place.page]);
  return (
    <>
      <a class="skip" href="#main" onClick={(event) => { event.preventDefault(); document.getElementById("main")?.focus(); }}>Skip to the content</a>
      <Header session={props.session} page={place.page} signOut={props.signOut} help={() => showHelp(true)} />
      <main id="main" tabIndex={-1}>
        <Page name={place.page} id={place.id} params={place.params} rights={rights} session={props.set} />
      </main>
      {help && <Help close={() => showHelp(false)} />}
    </>
  );
}

export function App() {
  const [session, set] = useState<Session | null | undefined>(undefined);
  const [error, fail] = useState<string | null>(null);
  const begin = (next: Session | null) => {
    keep(next);
    fail(null);
    set(next);
  };
  const load = () => {
    get<Session>("/api/v1/session").then(begin, (problem) => {
      if (problem?.status === 401) begin(null);
      else fail(words(problem));
    });
  };
  useEffect(() => {
    connect(() => begin(null), () => set((old) => old && { ...old, must_change: true }));
    load();
  }, []);
  const signOut = () => {
    post("/api/v1/logout", {}).then(() => begin(null), () => begin(null));
  };
  let shown = <Loading />;
  if (error) shown = <div class="alone"><Failure error={error} again={load} /></div>;
  else if (session === null) shown = <Login done={begin} />;
  else if (session?.must_change) {
    shown = (
      <div class="alone">
        <h1>Choose your own password</h1>
        <p>The first password was made for you and is known to whoever gave it to you. Nothing else works until you have changed it.</p>
        <PasswordForm done={begin} user={session.user} />
        <button type="button" class="quiet" onClick={signOut}>Log out</button>
      </div>
    );
  } else if (session) shown = <Inside session={session} set={begin} signOut={signOut} />;
  return <>{shown}<Notices /></>;
}
