// What a user says about a limiter, and what can be wrong with it.

import { checkCount } from "../core/count.ts";
import { show, TrypemaError } from "../core/errors.ts";
import { checkOptions } from "../core/options.ts";
import type { Rate } from "../core/rate.ts";
import type { Awaitable, Decision, Provider } from "../core/types.ts";
import { checkMissingKeyPolicy, type Key, type MissingKeyPolicy } from "./keys.ts";
import type { Outcome } from "./metrics.ts";
import type { HttpRequest, HttpResponse } from "./request.ts";

/**
 * Who decides when the provider fails: `"allow"` lets the request pass, `"deny"` answers it with 503, `"local"` asks a
 * Local provider with the same window, each process for itself, and `{ provider }` asks this other provider; if it
 * fails too, the request passes. A function says for each request whether it passes.
 */
export type BackendFailurePolicy<Raw = unknown> =
  | "allow"
  | "deny"
  | "local"
  | { readonly provider: Provider }
  | ((request: HttpRequest<Raw>, error: unknown) => Awaitable<"allow" | "deny">);

/** What one limiter has decided about one request. */
export interface DecisionEvent<Raw = unknown> {
  /** The limiter's name. */
  readonly limiter: string;
  /** The request, as limiters see it. */
  readonly request: HttpRequest<Raw>;
  /** What was decided, or why nothing was. */
  readonly outcome: Outcome;
  /** Whether this limiter lets the request go on; always true for a shadow limiter. */
  readonly admitted: boolean;
  /** Whether the limiter is a shadow limiter, which denies nobody. */
  readonly shadow: boolean;
  /** Undefined when the key is missing, or when Redis failed and nothing else decided. */
  readonly decision: Decision | undefined;
  /** The key as it is stored. */
  readonly key: string | undefined;
  /** What the request costs. */
  readonly cost: number;
  /** The error of the backend. */
  readonly error: unknown;
}

/**
 * A limiter. It has either a `rate` or a `limit`. If one of its functions fails, or returns a rate, a limit or a cost
 * that isn't valid, the framework gets an error of the request, and no limiter counts the request.
 */
export type LimiterDefinition<Raw = unknown> = LimiterFields<Raw> & (LimiterOfRate<Raw> | LimiterOfCount<Raw>);

/** A limiter with the window that it has for one request. */
export type WindowDefinition<Raw> = LimiterDefinition<Raw> & { readonly windowMs?: number };

/**
 * A function that returns something for a request.
 *
 * @param key the key of the request, as the limiter's `key` returned it; `""` for requests that share a key because
 *   they have none
 */
export type ForRequest<Raw, T> = (request: HttpRequest<Raw>, key: string) => Awaitable<T>;

/** How much a limiter allows, as a rate. */
export interface LimiterOfRate<Raw = unknown> {
  /**
   * The rate, or a function of the request, for example by its plan. `"none"` admits nobody: every request is denied,
   * as with a limit of 0, whatever it costs.
   */
  readonly rate: Rate | "none" | ForRequest<Raw, Rate | "none">;
  /** A limiter has either a `rate` or a `limit`. */
  readonly limit?: undefined;
}

/** How much a limiter allows, as a count. */
export interface LimiterOfCount<Raw = unknown> {
  /** A limiter has either a `rate` or a `limit`. */
  readonly rate?: undefined;
  /**
   * How many requests fit into a window: a positive integer, or a function of the request, for example by its plan.
   * `"none"` admits nobody, like a rate of `"none"`.
   */
  readonly limit: number | "none" | ForRequest<Raw, number | "none">;
}

/** The options of a limiter, except how much it allows. */
export interface LimiterFields<Raw = unknown> {
  /**
   * The limiter's name in counts and in header fields: 1 to 60 characters of `A-Z a-z 0-9 . _ / * -`. Default
   * `"default"`. Limiters with the same name, strategy and window on one provider share their counts, so limits that
   * differ need different names.
   */
  readonly name?: string;
  /**
   * Part of what is counted, beside the name, and told to no client: limiters of one name in two scopes have counts of
   * their own.
   *
   * @internal
   */
  readonly scope?: string;
  /**
   * How far back history counts, in ms; at least 1. Default: the provider's. A function returns the window for each
   * request, for example by its plan. Each window has counts of its own. The first hundred windows are kept as the
   * function gives them, and further ones are rounded up to a power of two milliseconds.
   */
  readonly windowMs?: number | ForRequest<Raw, number>;
  /**
   * Hits in the same cell of this many ms share a bucket; 1 to `windowMs`. Default: if the limiter has a `windowMs`,
   * 100 or a shorter `windowMs`; otherwise the provider's.
   */
  readonly bucketMs?: number;
  /** Default `"absolute"`. */
  readonly strategy?: "absolute" | "suppressed";
  /**
   * Absolute: a request that this limiter denies blocks its key for this time, in ms, at least 1. Choose at least the
   * window: a shorter block may end before there is room. Default: no block.
   */
  readonly blockMs?: number;
  /** How much a request counts, an integer from 0 up. Default 1. At 0 the limiter ignores the request. */
  readonly cost?: number | ForRequest<Raw, number>;
  /** The client that a request counts for. Default `clientAddress()`, the peer's address. */
  readonly key?: Key<Raw>;
  /** Default `"reject"`: a request whose key can't be found is answered with 400. */
  readonly onMissingKey?: MissingKeyPolicy;
  /** True for requests that this limiter ignores. */
  readonly skip?: (request: HttpRequest<Raw>) => Awaitable<boolean>;
  /**
   * Clients that this limiter doesn't limit: their requests pass, are not counted, and get no fields. Either addresses
   * and networks of clients, as in the `proxies` of `clientAddress()`, with which the key has to be made; or a
   * function.
   */
  readonly allow?: readonly string[] | ForRequest<Raw, boolean>;
  /**
   * Responses that don't count: `"failed"`, with a status from 400 on; `"successful"`, with a lower status; or a
   * function of the response, which may be async. What the request took is given back when the response is sent. If the
   * client goes away before that, the request stays counted.
   */
  readonly uncounted?:
    | "failed"
    | "successful"
    | ((response: HttpResponse, request: HttpRequest<Raw>) => Awaitable<boolean>);
  /**
   * True: a request stays counted where a `rateLimit` behind this one denies it or fails. So the limiter bounds how
   * many requests reach the ones behind, for example a function that looks up a plan. Default false: what the request
   * took is given back. Limiters of one `rateLimit` are asked as one, so there a denied request isn't counted anyway.
   */
  readonly countDenied?: boolean;
  /** Decides, counts and reports, but denies nobody and tells clients nothing. Default false. */
  readonly shadow?: boolean;
  /** Default `"allow"`. */
  readonly onBackendFailure?: BackendFailurePolicy<Raw>;
  /** Called for every decision. If it fails, `onError` is called, and nothing else happens. */
  readonly onDecision?: (event: DecisionEvent<Raw>) => unknown;
}

export const DEFINITION_NAMES: readonly string[] = [
  "name",
  "scope",
  "rate",
  "limit",
  "windowMs",
  "bucketMs",
  "strategy",
  "blockMs",
  "cost",
  "key",
  "onMissingKey",
  "skip",
  "allow",
  "uncounted",
  "countDenied",
  "shadow",
  "onBackendFailure",
  "onDecision",
] satisfies (keyof LimiterDefinition)[];

/**
 * Checks all but how much the limiter allows and what it counts, which the maker of its counts checks.
 *
 * @throws {TrypemaError} `INVALID_OPTION`, `INVALID_COUNT`
 */
export function checkDefinition<Raw>(definition: LimiterDefinition<Raw>): void {
  checkOptions("limiter", definition, DEFINITION_NAMES);
  const { name = "default", cost = 1, onMissingKey = "reject" } = definition;
  if (typeof name !== "string" || !/^[\w./*-]{1,60}$/.test(name)) {
    throw new TrypemaError("INVALID_OPTION", `name: got ${show(name)}, expected 1 to 60 of A-Z a-z 0-9 . _ / * -`);
  }
  const { onBackendFailure = "allow" } = definition;
  if (typeof onBackendFailure !== "function" && (typeof onBackendFailure !== "object" || onBackendFailure === null)) {
    checkOneOf("onBackendFailure", onBackendFailure, ["allow", "deny", "local"], ", { provider } or a function");
  }
  checkMissingKeyPolicy(onMissingKey);
  for (const option of ["key", "skip", "onDecision"] as const) {
    const value = definition[option];
    if (value === undefined || typeof value === "function") continue;
    throw new TrypemaError("INVALID_OPTION", `${option}: got ${show(value)}, expected a function`);
  }
  if (typeof definition.uncounted !== "function") {
    checkOneOf("uncounted", definition.uncounted, [undefined, "failed", "successful"]);
  }
  checkOneOf("countDenied", definition.countDenied, [undefined, true, false]);
  if (typeof cost !== "function") checkCount("cost", cost, 0);
}

/** @param orElse what else is accepted, where the caller has checked that */
function checkOneOf(option: string, value: unknown, known: readonly unknown[], orElse = ""): void {
  if (known.includes(value)) return;
  const names = known.filter((one) => one !== undefined).map(show);
  throw new TrypemaError(
    "INVALID_OPTION",
    `${option}: got ${show(value)}, expected one of ${names.join(", ")}${orElse}`,
  );
}
