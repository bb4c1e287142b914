// Small parts that every page uses.
import type { ComponentChildren } from "preact";
import { useCallback, useEffect, useRef, useState } from "preact/hooks";
import { words } from "./api";
import { plain } from "./text";
import type { Severity } from "./types";

/** Something fetched, fetched again every `every` milliseconds while the page is visible. */
export function useFetched<T>(fetcher: (signal: AbortSignal) => Promise<T>, keys: unknown[], every = 0) {
  const [value, setValue] = useState<T | null>(null);
  const [error, setError] = useState<string | null>(null);
  const [turn, setTurn] = useState(0);
  const latest = useRef(fetcher);
  latest.current = fetcher;
  useEffect(() => {
    const abort = new AbortController();
    let timer = 0;
    const run = async () => {
      if (!document.hidden || value === null) {
        try {
          const got = await latest.current(abort.signal);
          if (abort.signal.aborted) return;
          setValue(got);
          setError(null);
        } catch (failure) {
          if (abort.signal.aborted) return;
          setError(words(failure));
        }
      }
      if (every > 0 && !abort.signal.aborted) timer = window.setTimeout(run, every);
    };
    void run();
    return () => {
      abort.abort();
      clearTimeout(timer);
    };
  }, [...keys, turn, every]);
  const again = useCallback(() => setTurn((n) => n + 1), []);
  return { value, error, again, setValue };
}

export function Failure(props: { error: string | null; again?: () => void }) {
  if (!props.error) return null;
  return (
    <div class="failure" role="alert">
      <span>{plain(props.error)}</span>
      {props.again && <button type="button" onClick={props.again}>Try again</button>}
    </div>
  );
}

export function Empty(props: { title: string; children?: ComponentChildren }) {
  return (
    <div class="empty">
      <strong>{props.title}</strong>
      <div>{props.children}</div>
    </div>
  );
}

export function Loading() {
  return <p class="muted pad" role="status">Loading…</p>;
}

export function Badge(props: { kind: string; children: ComponentChildren; title?: string }) {
  return <span class={`badge b-${props.kind}`} title={props.title}>{props.children}</span>;
}

export function SeverityBadge(props: { severity: Severity }) {
  return <Badge kind={props.severity}>{props.severity === "informational" ? "info" : props.severity}</Badge>;
}

/** A modal: the platform's own dialog keeps the focus and closes on Escape. */
export function Dialog(props: { title: string; close: () => void; children: ComponentChildren; wide?: boolean }) {
  const element = useRef<HTMLDialogElement>(null);
  useEffect(() => {
    const dialog = element.current;
    const before = document.activeElement as HTMLElement | null;
    if (dialog && !dialog.open) dialog.showModal();
    return () => before?.focus?.();
  }, []);
  return (
    <dialog ref={element} class={props.wide ? "wide" : ""} aria-label={props.title} onClose={props.close} onCancel={props.close}>
      <header>
        <h2>{props.title}</h2>
        <button type="button" class="icon" aria-label="Close" onClick={props.close}>✕</button>
      </header>
      {props.children}
    </dialog>
  );
}

export async function copy(text: string): Promise<void> {
  try {
    await navigator.clipboard.writeText(text);
    say("Copied");
  } catch {
    say("The browser did not allow copying; select the text instead.", true);
  }
}

/** A secret or command that is shown once. */
export function Reveal(props: { title: string; text: string; hint: string; close: () => void }) {
  return (
    <Dialog title={props.title} close={props.close}>
      <p>{props.hint}</p>
      <pre class="secret" tabIndex={0}>{props.text}</pre>
      <footer>
        <button type="button" onClick={() => void copy(props.text)}>Copy</button>
        <button type="button" class="primary" onClick={props.close}>Done, I have kept it</button>
      </footer>
    </Dialog>
  );
}

let tell: (text: string, bad: boolean) => void = () => {};
/** A short notice at the foot of the page, read out by screen readers. */
export function say(text: string, bad = false): void {
  tell(text, bad);
}

export function Notices() {
  const [notice, set] = useState<{ text: string; bad: boolean; n: number } | null>(null);
  useEffect(() => {
    let n = 0;
    tell = (text, bad) => set({ text, bad, n: ++n });
  }, []);
  useEffect(() => {
    if (!notice) return;
    const timer = setTimeout(() => set(null), notice.bad ? 12_000 : 4_000);
    return () => clearTimeout(timer);
  }, [notice]);
  return (
    <div class="notices" role="status" aria-live="polite">
      {notice && <div class={notice.bad ? "notice bad" : "notice"}>{plain(notice.text)}</div>}
    </div>
  );
}

/** Runs a change; its failure is told. Returns whether it went well. */
export async function attempt(change: () => Promise<unknown>, done?: string): Promise<boolean> {
  try {
    await change();
    if (done) say(done);
    return true;
  } catch (error) {
    say(words(error), true);
    return false;
  }
}

/** Whether a key press is meant for a control, not for a shortcut. */
export function typing(event: KeyboardEvent): boolean {
  const target = event.target as HTMLElement | null;
  if (event.ctrlKey || event.metaKey || event.altKey || document.querySelector("dialog[open]")) return true;
  return !!target?.closest("input, textarea, select, [contenteditable]");
}

/** Shortcuts of a page; `first` ones see a key before all others and may keep it to themselves. */
export function useKeys(handler: (event: KeyboardEvent) => void, first = false) {
  const latest = useRef(handler);
  latest.current = handler;
  useEffect(() => {
    const pressed = (event: KeyboardEvent) => {
      if (!typing(event)) latest.current(event);
    };
    addEventListener("keydown", pressed, first);
    return () => removeEventListener("keydown", pressed, first);
  }, [first]);
}
