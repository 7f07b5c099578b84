// What a provider tells an operator while it runs. Nothing in an event comes from a client: no key, and no message of a
// Redis server, because some of these quote the arguments of a command.

import { show, TrypemaError, type TrypemaErrorCode } from "./errors.ts";

/**
 * Five calls in a row have failed. Calls are no longer sent to Redis, except one every half second to see whether Redis
 * is back.
 */
export interface BreakerOpenedEvent {
  /** Tells the events apart. */
  readonly type: "breaker-opened";
  /** The code of the last call's error. */
  readonly code: TrypemaErrorCode;
  /**
   * The client's or the server's own code of that error, such as `"ECONNREFUSED"`, `"LOADING"` or `"NOPERM"`; `""` if
   * it has none.
   */
  readonly reason: string;
}

/** Redis has answered a call: all calls are sent again. */
export interface BreakerClosedEvent {
  /** Tells the events apart. */
  readonly type: "breaker-closed";
  /** How long the breaker was open. */
  readonly openMs: number;
}

/**
 * The failure policy has decided about calls, because Redis could not. The first event comes at once, and then one each
 * second.
 */
export interface DegradedEvent {
  /** Tells the events apart. */
  readonly type: "degraded";
  /** The failure policy. */
  readonly policy: "allow" | "deny" | "local";
  /** How many calls since the last event of this type. */
  readonly calls: number;
  /** The code of the last of these failures; `BACKEND_UNAVAILABLE` also when the breaker refused the call. */
  readonly code: TrypemaErrorCode;
}

/**
 * Redis answers again, and the failure policy has not decided for five seconds. The event comes with an answer of
 * Redis.
 */
export interface RecoveredEvent {
  /** Tells the events apart. */
  readonly type: "recovered";
  /** About how many calls the failure policy has decided in the whole outage. */
  readonly calls: number;
  /** From the first of these calls to the last. */
  readonly durationMs: number;
}

/** Calls to Redis had no answer at their deadline. The first event comes at once, and then one each second. */
export interface TimeoutEvent {
  /** Tells the events apart. */
  readonly type: "timeout";
  /** How many since the last event of this type. */
  readonly calls: number;
}

/**
 * Local has forgotten live keys, because `maxKeys` keys are stored. The first event comes at once, and then one each
 * second.
 */
export interface EvictedEvent {
  /** Tells the events apart. */
  readonly type: "evicted";
  /** How many keys since the last event of this type. Expired keys don't count. */
  readonly keys: number;
}

/** A sweep of Local has looked at all keys. */
export interface SweptEvent {
  /** Tells the events apart. */
  readonly type: "swept";
  /** How many stale keys were forgotten. */
  readonly keys: number;
  /** How long the sweep took, without the pauses between its slices. */
  readonly durationMs: number;
}

/** Hybrid: reports to Redis got no answer. Their hits are sent again, and none is counted twice. */
export interface ReportsLostEvent {
  /** Tells the events apart. */
  readonly type: "reports-lost";
  /** How many since the last event of this type. */
  readonly reports: number;
}

/** What a provider tells an operator; see `onEvent`. */
export type ProviderEvent =
  | BreakerOpenedEvent
  | BreakerClosedEvent
  | DegradedEvent
  | RecoveredEvent
  | TimeoutEvent
  | EvictedEvent
  | SweptEvent
  | ReportsLostEvent;

/** Every type of event. */
export const EVENT_TYPES: readonly ProviderEvent["type"][] = [
  "breaker-opened",
  "breaker-closed",
  "degraded",
  "recovered",
  "timeout",
  "evicted",
  "swept",
  "reports-lost",
];

/**
 * A function that is called with what happens inside a provider: right after the call in which it happens, and never
 * within this call. If the function fails, that changes no decision, and the first failure is a warning of the process.
 * By default a warning of the process says when a failure policy begins to decide, and when that ends. `false` turns
 * off these warnings too.
 */
export type OnEvent = false | ((event: ProviderEvent) => unknown);

/** The one place where events are made: no caller may change what another listener gets. */
export function eventOf<Event extends ProviderEvent>(event: Event): Event {
  return Object.freeze(event);
}

/** @throws {TrypemaError} `INVALID_OPTION` */
export function checkOnEvent(onEvent: OnEvent | undefined): void {
  if (onEvent === undefined || onEvent === false || typeof onEvent === "function") return;
  throw new TrypemaError("INVALID_OPTION", `onEvent: got ${show(onEvent)}, expected a function or false`);
}

/** An upper-case word that names a failure: the code of a system call, or what a Redis server's message begins with. */
const REASON = /^[A-Z][A-Z0-9_]{1,30}(?=\s|$)/;

/**
 * In a word of the client or the server why a call failed; `""` where there is none. Never throws, also when what the
 * client failed with can't be read.
 */
export function reasonOf({ cause }: TrypemaError): string {
  try {
    const { code, message } = (cause ?? {}) as { code?: unknown; message?: unknown };
    for (const text of [code, message]) {
      const word = typeof text === "string" ? REASON.exec(text)?.[0] : undefined;
      if (word !== undefined) return word;
    }
  } catch {
    // It has no word that could be read.
  }
  return "";
}
