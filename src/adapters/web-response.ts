// What Hono and fetch handlers have in common: the fields are added to a response that the handler has made.

import { addNames, EXPOSED_FIELDS } from "../http/headers.ts";
import type { Fields, HttpResponse } from "../http/index.ts";

/**
 * The fields that a limiter gave a response last, kept with it. They tell a limiter's fields from its handler's, also
 * where limiters are stacked, and where a handler gives one response to several requests.
 */
const FIELDS = Symbol("trypema.fields");

/** The request that a limiter denied by a response. */
const DENIED = Symbol("trypema.denied");

/** A response, or an error with the header fields of the response to be made of it. */
interface WithHeaders {
  readonly headers: Headers;
  readonly status?: unknown;
  [FIELDS]?: Fields;
  [DENIED]?: object;
}

/**
 * What a handler returned or threw, with the fields, except for those that the handler set. It is the same object, or a
 * copy where that is a response whose headers can't be changed, as those of a `fetch` can't. What can't be copied
 * either is left alone: a websocket, a network error, a response of another realm.
 *
 * @param request the one that the fields are of, as limiters share it
 */
export function withFields<T>(outcome: T, fields: Fields, request: object): T {
  if (fields.length === 0 || !hasHeaders(outcome)) return outcome;
  try {
    addFields(outcome, fields, request);
    return outcome;
  } catch {
    return isCopyable(outcome) ? copyWith(outcome, fields, request) : outcome;
  }
}

/** The response that a client gets for what a handler returned or threw. */
export function responseTo(outcome: unknown): HttpResponse {
  return {
    status: statusOf(outcome),
    header: (name) => (hasHeaders(outcome) ? (outcome.headers.get(name) ?? undefined) : undefined),
  };
}

function statusOf(outcome: unknown): number {
  // Bun wants nothing returned once a request has become a websocket.
  if (outcome === undefined) return 101;
  const { status, statusCode } = (outcome ?? {}) as { status?: unknown; statusCode?: unknown };
  const given = status ?? statusCode;
  return typeof given === "number" && given >= 100 && given <= 599 ? given : 500;
}

/** Sets the fields of an answer, one after the other. */
export function setFields(headers: Headers, fields: Fields): void {
  for (let i = 0; i < fields.length; i += 2) {
    const name = fields[i]!;
    headers.set(name, name === EXPOSED_FIELDS ? addNames(headers.get(name), fields[i + 1]!) : fields[i + 1]!);
  }
}

/** Notes with a response which fields are those of a denial, so that outer limiters don't take them for a handler's. */
export function noteDenial(response: object, fields: Fields, request: object): void {
  note(response as WithHeaders, FIELDS, fields);
  note(response as WithHeaders, DENIED, request);
}

function addFields(to: WithHeaders, fields: Fields, request: object): void {
  const { headers, [DENIED]: denied = request } = to;
  // A handler may make a request of its own and return its denial. The outer limiters didn't see that request, so the
  // fields of the denial are kept.
  const earlier = denied === request ? to[FIELDS] : undefined;
  for (let i = 0; i < fields.length; i += 2) {
    const name = fields[i]!;
    const there = headers.get(name);
    if (name === EXPOSED_FIELDS) headers.set(name, addNames(there, fields[i + 1]!));
    else if (there === null || there === fieldOf(earlier, name)) headers.set(name, fields[i + 1]!);
  }
  note(to, FIELDS, fields);
}

/** Keeps a value with a response, by an assignment, because `Reflect.set` takes 0.1 µs and an assignment 6 ns. */
function note<Name extends typeof FIELDS | typeof DENIED>(to: WithHeaders, name: Name, value: WithHeaders[Name]): void {
  try {
    to[name] = value;
  } catch {
    // It is frozen. Then a limiter further out takes its fields for the handler's, and leaves them alone.
  }
}

function fieldOf(fields: Fields | undefined, name: string): string | undefined {
  if (fields === undefined) return undefined;
  for (let i = 0; i < fields.length; i += 2) if (fields[i] === name) return fields[i + 1];
  return undefined;
}

function hasHeaders<T>(outcome: T): outcome is T & WithHeaders {
  if (typeof outcome !== "object" || outcome === null) return false;
  const { headers, status } = outcome as Partial<WithHeaders>;
  if (typeof headers?.get !== "function" || typeof headers.set !== "function") return false;
  return !(typeof status === "number" && status < 200);
}

/**
 * Whether it is a `Response` of this realm. `@hono/node-server` replaces the global one by a subclass of the original.
 */
function isCopyable(outcome: object): outcome is Response {
  if (outcome instanceof Response) return true;
  const { constructor: Kind } = outcome;
  return typeof Kind === "function" && Kind !== Object && Response.prototype instanceof Kind;
}

function copyWith<T extends Response>(response: T, fields: Fields, request: object): T {
  try {
    const { status, statusText, headers, body } = response;
    const copy = new Response(body, { status, statusText, headers }) as T;
    addFields(copy, fields, request);
    return copy;
  } catch {
    return response;
  }
}
