// What a user says about a limiter, and what can be wrong with it.

import { checkCount } from "../core/count.ts";
import { show, TrypemaError } from "../core/errors.ts";
import { checkOptions } from "../core/options.ts";
import type { Rate } from "../core/rate.ts";
import type { Awaitable, Decision, Provider } from "../core/types.ts";
import { capacityOf } from "../strategy/capacity.ts";
import { checkMissingKeyPolicy, type Key, type MissingKeyPolicy } from "./keys.ts";
import type { Outcome } from "./metrics.ts";
import type { HttpRequest } from "./request.ts";

/**
 * Who decides when the provider fails: `"allow"` lets the request pass, `"deny"` answers it with 503, `"local"` asks a
 * Local provider with the same window, each process for itself.
 */
export type BackendFailurePolicy = "allow" | "deny" | "local";

/** What one limiter has decided about one request. */
export interface DecisionEvent<Raw = unknown> {
  /** The limiter's name. */
  readonly limiter: string;
  /** The request, as limiters see it. */
  readonly request: HttpRequest<Raw>;
  /** What was decided, or why nothing was. */
  readonly outcome: Outcome;
  /** Whether the request may go on, as far as this limiter is concerned; always true of a shadow. */
  readonly admitted: boolean;
  /** Whether the limiter only watches. */
  readonly shadow: boolean;
  /** Undefined when the key is missing, or when the backend failed and nothing decided in its place. */
  readonly decision: Decision | undefined;
  /** The key as it is stored. */
  readonly key: string | undefined;
  /** What the request costs. */
  readonly cost: number;
  /** What the backend failed with. */
  readonly error: unknown;
}

/**
 * A limiter. What its functions throw or reject with, and a rate or a cost that isn't valid, goes to the framework as
 * an error of the request, which then takes nothing from any limiter.
 */
export interface LimiterDefinition<Raw = unknown> {
  /**
   * Part of every key and of the header fields: 1 to 64 of `A-Z a-z 0-9 . _ / * -`. Default `"default"`. Limiters of
   * one name on one provider share their counts, so limits that differ need names of their own.
   */
  readonly name?: string;
  /**
   * The rate, or the rate of a request: of its plan, say. `"none"` admits nobody: requests are denied as those over a
   * limit of 0 are, whatever they cost.
   */
  readonly rate: Rate | "none" | ((request: HttpRequest<Raw>) => Awaitable<Rate | "none">);
  /** Default `"absolute"`. */
  readonly strategy?: "absolute" | "suppressed";
  /** How much a request takes, an integer from 0 up. Default 1. At 0 the limiter has nothing to do with it. */
  readonly cost?: number | ((request: HttpRequest<Raw>) => Awaitable<number>);
  /** Who a request counts for. Default `clientAddress()`, the peer's address. */
  readonly key?: Key<Raw>;
  /** Default `"reject"`: a request whose key can't be found is answered with 400. */
  readonly onMissingKey?: MissingKeyPolicy;
  /** True for requests that this limiter has nothing to do with. */
  readonly skip?: (request: HttpRequest<Raw>) => Awaitable<boolean>;
  /**
   * Responses that are not counted, by status: `"failed"` from 400 on, `"successful"` below, or a function, which may
   * be async. What the request took is given back when the response is sent; one that is broken off is counted.
   */
  readonly uncounted?: "failed" | "successful" | ((status: number) => Awaitable<boolean>);
  /** Decides, records and reports, but denies nobody and tells clients nothing. Default false. */
  readonly shadow?: boolean;
  /** Default `"allow"`. */
  readonly onBackendFailure?: BackendFailurePolicy;
  /** Told of every decision. What it throws or rejects with is reported to `onError`, and does no other harm. */
  readonly onDecision?: (event: DecisionEvent<Raw>) => unknown;
}

export const DEFINITION_NAMES: readonly string[] = [
  "name",
  "rate",
  "strategy",
  "cost",
  "key",
  "onMissingKey",
  "skip",
  "uncounted",
  "shadow",
  "onBackendFailure",
  "onDecision",
] satisfies (keyof LimiterDefinition)[];

/** @throws {TrypemaError} `INVALID_OPTION`, `INVALID_RATE`, `INVALID_COUNT`, `CAPACITY_BELOW_ONE` */
export function checkDefinition<Raw>(definition: LimiterDefinition<Raw>, provider: Provider): void {
  checkOptions("limiter", definition, DEFINITION_NAMES);
  const { name = "default", rate, strategy = "absolute", cost = 1, onMissingKey = "reject" } = definition;
  if (typeof name !== "string" || !/^[\w./*-]{1,64}$/.test(name)) {
    throw new TrypemaError("INVALID_OPTION", `name: got ${show(name)}, expected 1 to 64 of A-Z a-z 0-9 . _ / * -`);
  }
  checkOneOf("strategy", strategy, ["absolute", "suppressed"]);
  checkOneOf("onBackendFailure", definition.onBackendFailure ?? "allow", ["allow", "deny", "local"]);
  checkMissingKeyPolicy(onMissingKey);
  for (const option of ["key", "skip", "onDecision"] as const) {
    const value = definition[option];
    if (value === undefined || typeof value === "function") continue;
    throw new TrypemaError("INVALID_OPTION", `${option}: got ${show(value)}, expected a function`);
  }
  if (typeof definition.uncounted !== "function") {
    checkOneOf("uncounted", definition.uncounted, [undefined, "failed", "successful"]);
  }
  if (typeof rate !== "function" && rate !== "none") capacityOf(rate, provider.windowMs);
  if (typeof cost !== "function") checkCount("cost", cost, 0);
}

function checkOneOf(option: string, value: unknown, known: readonly unknown[]): void {
  if (known.includes(value)) return;
  const names = known.filter((one) => one !== undefined).map(show);
  throw new TrypemaError("INVALID_OPTION", `${option}: got ${show(value)}, expected one of ${names.join(", ")}`);
}
