// Live tail: events as they are stored, over server-sent events.
import { useEffect, useRef, useState } from "preact/hooks";
import { parse } from "../json";
import { field } from "../query";
import type { Document } from "../types";
import type { Row } from "./table";

const KEPT = 500;

export interface Live { rows: Row[]; state: string; lost: number; arrived: number }

export function useTail(on: boolean, paused: boolean, query: string): Live {
  const [live, set] = useState<Live>({ rows: [], state: "", lost: 0, arrived: 0 });
  const waiting = useRef<Row[]>([]);
  const held = useRef(paused);
  held.current = paused;
  useEffect(() => {
    waiting.current = [];
    set({ rows: [], state: on ? "connecting" : "", lost: 0, arrived: 0 });
    if (!on) return;
    const source = new EventSource(`/api/v1/tail?query=${encodeURIComponent(query)}`);
    let arrived = 0;
    source.onopen = () => set((old) => ({ ...old, state: "live" }));
    source.onerror = () => set((old) => ({ ...old, state: source.readyState === EventSource.CLOSED ? "refused: check the query" : "connecting again" }));
    source.onmessage = (message) => {
      const document = parse(String(message.data)) as Document;
      arrived++;
      waiting.current.push({ id: field(document, "event.id") || `#${arrived}`, document });
      if (waiting.current.length > KEPT) waiting.current.shift();
    };
    source.addEventListener("lost", (message) => {
      const count = Number((message as MessageEvent).data) || 0;
      set((old) => ({ ...old, lost: old.lost + count }));
    });
    const timer = setInterval(() => {
      if (held.current || waiting.current.length === 0) return;
      const fresh = waiting.current.splice(0).reverse();
      set((old) => ({ ...old, arrived, rows: [...fresh, ...old.rows].slice(0, KEPT) }));
    }, 300);
    return () => {
      source.close();
      clearInterval(timer);
    };
  }, [on, query]);
  return live;
}
