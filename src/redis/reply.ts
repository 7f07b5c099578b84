// Reads what the scripts reply, and refuses what none of them says: something else than Redis may answer, as a mock, a
// proxy or a pipeline does, and a key may hold what another program has written. A reply is checked once, as a whole.

import { show, TrypemaError } from "../core/errors.ts";

/** The largest total; see lua/lib/buckets.lua. */
const MOST = Number.MAX_SAFE_INTEGER;

/** The error for a reply that means nothing. Redis may have done what it was asked for all the same. */
export function misfit(reply: unknown): TrypemaError {
  const message = `Redis: got ${show(reply)} for an answer, which means nothing; is it Redis that this client asks?`;
  return new TrypemaError("BACKEND_SCRIPT", message, { cause: reply });
}

/** A number of a reply: an integer, or text where it may be fractional. NaN for anything else. */
export function numberFrom(reply: unknown): number {
  if (typeof reply === "number") return reply;
  const text = textFrom(reply).trim();
  if (text === "") return Number.NaN;
  return text === "inf" ? Number.POSITIVE_INFINITY : Number(text);
}

/** What an admitted call is replied: see `admission_as_replied` in lua/lib/reply.lua. */
export interface Admission {
  /** What is used of the capacity with the call. */
  readonly used: number;
  readonly moreAfterMs: number;
}

/** @throws {TrypemaError} `BACKEND_SCRIPT` unless it admits a call of `count` */
export function admissionFrom(reply: unknown, count: number, limit: number, windowMs: number): Admission {
  const { used, moreAfterMs } = splitAdmission(reply, Math.ceil(windowMs) + 1);
  if (used >= count && isWithin(used, limit) && isWithin(moreAfterMs, Math.ceil(windowMs)))
    return { used, moreAfterMs };
  throw misfit(reply);
}

/** What a call to a blocked key is replied: see `block_as_replied` in lua/lib/block.lua. */
export interface BlockReply {
  /** As `time_as_replied` makes it. */
  readonly left: number;
  readonly used: number;
  readonly moreAfterMs: number;
}

/**
 * The reply to a call to a blocked key; undefined for a list that is something else.
 *
 * @throws {TrypemaError} `BACKEND_SCRIPT`
 */
export function blockFrom(reply: readonly unknown[], windowMs: number): BlockReply | undefined {
  if (reply.length !== 2) return undefined;
  const left = numberFrom(reply[0]);
  const { used, moreAfterMs } = splitAdmission(reply[1], Math.ceil(windowMs) + 1);
  if (isWait(left) && isWhole(used) && isWithin(moreAfterMs, Math.ceil(windowMs))) return { left, used, moreAfterMs };
  throw misfit(reply);
}

function splitAdmission(reply: unknown, factor: number): Admission {
  const packed = numberFrom(reply);
  if (Number.isNaN(packed)) {
    const [used, moreAfterMs] = textFrom(reply).split(" ").map(numberFrom);
    return { used: used ?? Number.NaN, moreAfterMs: moreAfterMs ?? Number.NaN };
  }
  // Larger ones come as text.
  const used = packed < 1e15 ? Math.floor(packed / factor) : Number.NaN;
  return { used, moreAfterMs: packed - used * factor };
}

/** A text of a reply, which clients may be told to give as bytes or as a number; empty for anything else. */
export function textFrom(reply: unknown): string {
  if (typeof reply === "string") return reply;
  if (typeof reply === "number" || typeof reply === "bigint") return String(reply);
  return reply instanceof Uint8Array ? new TextDecoder().decode(reply) : "";
}

/** @throws {TrypemaError} `BACKEND_SCRIPT` unless `reply` is an array of that length */
export function numbersFrom(reply: unknown, length: number): number[] {
  if (!Array.isArray(reply) || reply.length !== length) throw misfit(reply);
  return reply.map(numberFrom);
}

/**
 * What a key has used, as ADJUST and DELETE tell it.
 *
 * @throws {TrypemaError} `BACKEND_SCRIPT` for what is no total
 */
export function totalFrom(reply: unknown): number {
  const total = numberFrom(reply);
  if (isTotal(total)) return total;
  throw misfit(reply);
}

/**
 * A page of SCAN, as ioredis has it or as node-redis has it.
 *
 * @param cursor the one that was sent: the same again would go on for ever
 * @throws {TrypemaError} `BACKEND_SCRIPT` for what is no page
 */
export function pageFrom(reply: unknown, cursor: string): { cursor: string; keys: string[] } {
  const [next, keys] = Array.isArray(reply) ? reply : [read(reply, "cursor"), read(reply, "keys")];
  const nextCursor = textFrom(next);
  const isPage = /^\d+$/.test(nextCursor) && (nextCursor !== cursor || cursor === "0");
  if (isPage && Array.isArray(keys) && keys.every((key) => textFrom(key) !== ""))
    return { cursor: nextCursor, keys: keys.map(textFrom) };
  throw misfit(reply);
}

function read(value: unknown, name: string): unknown {
  return typeof value === "object" && value !== null ? Reflect.get(value, name) : undefined;
}

export function isTotal(value: number): boolean {
  return isWhole(value) && value <= MOST;
}

/** Whether it is a number of calls. With what is leased there may be more than a total, and far less than 2^63. */
export function isWhole(value: number): boolean {
  return Number.isInteger(value) && value >= 0 && value < 2 ** 63;
}

/** Whether so much can be used of a capacity. What is beyond all totals isn't summed up exactly. */
export function isWithin(used: number, limit: number): boolean {
  return isWhole(used) && (used <= limit || limit > MOST);
}

/** Whether one can wait for that long. */
export function isWait(ms: number): boolean {
  return ms >= 0 && ms < Number.POSITIVE_INFINITY;
}

/** Whether it is a share, as the suppression factor is. */
export function isShare(value: number): boolean {
  return value >= 0 && value <= 1;
}
