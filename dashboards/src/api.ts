// The one place that talks to the collector: cookie session, CSRF header, errors in words.
import { parse, writeCursor } from "./json";
import type { SearchRequest, SearchResponse, Session } from "./types";

export class ApiError extends Error {
  constructor(readonly status: number, readonly code: string, message: string) {
    super(message);
  }
  /** Column of a wrong query, from 1. */
  get column(): number | null {
    const found = /^column (\d+): /.exec(this.message);
    return found ? Number(found[1]) : null;
  }
}

let csrf = "";
let onSignedOut: () => void = () => {};
let onMustChange: () => void = () => {};

export function connect(signedOut: () => void, mustChange: () => void): void {
  onSignedOut = signedOut;
  onMustChange = mustChange;
}

export function keep(session: Session | null): void {
  csrf = session?.csrf ?? "";
}

async function send(method: string, path: string, body: string | undefined, signal?: AbortSignal) {
  const headers: Record<string, string> = {};
  if (body !== undefined) headers["Content-Type"] = "application/json";
  if (method !== "GET" && csrf) headers["X-CSRF-Token"] = csrf;
  try {
    return await fetch(path, { method, headers, body, signal, credentials: "same-origin" });
  } catch (error) {
    if ((error as Error).name === "AbortError") throw error;
    throw new ApiError(0, "unreachable", "The collector does not answer. Check that it runs and that you are on its network; this page tries again by itself.");
  }
}

async function raw<T>(method: string, path: string, body?: string, signal?: AbortSignal): Promise<T> {
  const response = await send(method, path, body, signal);
  const text = await response.text();
  let value: unknown = null;
  try {
    value = text ? parse(text) : null;
  } catch {
    /* told below */
  }
  if (response.ok) return value as T;
  const failure = (value ?? {}) as { code?: string; message?: string };
  const code = failure.code ?? "unknown";
  if (response.status === 401 && path !== "/api/v1/login") onSignedOut();
  if (code === "password_change_required") onMustChange();
  const words = failure.message ?? (text.slice(0, 300) || `The collector answered ${response.status}.`);
  throw new ApiError(response.status, code, words);
}

export function call<T>(method: string, path: string, body?: unknown, signal?: AbortSignal): Promise<T> {
  return raw<T>(method, path, body === undefined ? undefined : JSON.stringify(body), signal);
}

export const get = <T>(path: string, signal?: AbortSignal) => call<T>("GET", path, undefined, signal);
export const post = <T>(path: string, body: unknown) => call<T>("POST", path, body);
export const put = <T>(path: string, body: unknown) => call<T>("PUT", path, body);
export const remove = <T>(path: string) => call<T>("DELETE", path);

export function search(request: SearchRequest, signal?: AbortSignal): Promise<SearchResponse> {
  const { after, ...rest } = request;
  const body = JSON.stringify(rest);
  const whole = after ? `${body.slice(0, -1)},"after":${writeCursor(after)}}` : body;
  return raw<SearchResponse>("POST", "/api/v1/search", whole, signal);
}

export function words(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
