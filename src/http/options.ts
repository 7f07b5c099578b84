// What a user says about all limiters of a route, and what can be wrong with it.

import { show, TrypemaError } from "../core/errors.ts";
import { checkOptions } from "../core/options.ts";
import type { Provider } from "../core/types.ts";
import type { Responder } from "./answer.ts";
import { checkProvider } from "./counts.ts";
import { DEFINITION_NAMES, type LimiterDefinition } from "./definition.ts";
import type { HeaderForm } from "./headers.ts";
import type { FailureKind, Metrics } from "./metrics.ts";
import type { OnNotice } from "./notices.ts";

/**
 * What all limiters of a route share.
 *
 * @typeParam Handler the form of `handler` in the adapter, with the framework's own arguments
 */
export interface GuardOptions<Raw = unknown, Handler = never> {
  /** Local, Redis or Hybrid. */
  readonly provider: Provider;
  /**
   * The form of the rate limit header fields, or several forms that have no field in common, such as `"draft-10"` and
   * `"x-ratelimit"`. Default `"draft-10"`.
   */
  readonly headers?: HeaderForm | readonly Exclude<HeaderForm, "none">[];
  /**
   * Tells clients the limit, but not how much is left and when more is left, because clients that share a key would
   * learn from that what the others do. `Retry-After` is still sent. Default false.
   */
  readonly hideRemaining?: boolean;
  /**
   * Adds the rate limit fields and `Retry-After` to `Access-Control-Expose-Headers`, so that browsers show them to
   * scripts of other origins. Which origins may send requests is decided by CORS. Default false.
   */
  readonly exposeHeaders?: boolean;
  /** The status of a request over the limit, 400 to 599. Default 429. */
  readonly status?: number;
  /** Makes the answer to a denied request. When it fails, the default answer is sent. */
  readonly respond?: Responder<Raw>;
  /**
   * Answers denied requests with the framework's own methods, in place of `respond`. The status and the header fields
   * are set before it is called. If it fails, the framework's error handling gets the error.
   */
  readonly handler?: Handler;
  /** Counts decisions and failures. */
  readonly metrics?: Metrics;
  /**
   * Called with failures that no answer to a request shows. By default, failures of your callbacks go to
   * `console.error`. Failures of a backend are only in the metrics.
   */
  readonly onError?: (error: unknown, kind: FailureKind, limiter: string) => void;
  /** Called with mistakes that otherwise nobody would see; see {@link OnNotice}. Default: a warning of the process. */
  readonly onNotice?: OnNotice;
}

/**
 * One limiter, or several, which are asked as one: each of them admits a request and counts it, or none counts
 * anything.
 */
export type RateLimitOptions<Raw = unknown, Handler = never> = GuardOptions<Raw, Handler> &
  ({ readonly respond?: undefined } | { readonly handler?: undefined }) &
  ((LimiterDefinition<Raw> & { readonly limiters?: undefined }) | SeveralLimiters<Raw>);

/** Several limiters. Each option of a limiter is in the limiters, and not beside them. */
export type SeveralLimiters<Raw = unknown> = {
  readonly limiters: readonly LimiterDefinition<Raw>[];
} & NoLimiter;

/** None of the options of a limiter. */
export type NoLimiter = { readonly [Option in keyof LimiterDefinition]?: undefined };

/** The options that all limiters share. */
export const GUARD_NAMES = [
  "provider",
  "headers",
  "hideRemaining",
  "exposeHeaders",
  "status",
  "respond",
  "handler",
  "metrics",
  "onError",
  "onNotice",
] as const satisfies (keyof GuardOptions)[];

/** @throws {TrypemaError} `INVALID_OPTION` for a name that is no option, and for a value that is wrong */
export function checkGuardOptions<Raw>(options: GuardOptions<Raw, unknown>): void {
  checkOptions("options", options, [...GUARD_NAMES, "limiters", ...DEFINITION_NAMES]);
  checkProvider("provider", options.provider);
  for (const option of ["respond", "handler"] as const) {
    const value = options[option];
    if (value === undefined || typeof value === "function") continue;
    throw new TrypemaError("INVALID_OPTION", `${option}: got ${show(value)}, expected a function`);
  }
  if (options.respond === undefined || options.handler === undefined) return;
  throw new TrypemaError("INVALID_OPTION", "handler: got both handler and respond, expected one of the two");
}

/**
 * The limiters that options describe.
 *
 * @throws {TrypemaError} `INVALID_OPTION`
 */
export function definitionsOf<Raw>(options: RateLimitOptions<Raw, unknown>): readonly LimiterDefinition<Raw>[] {
  const own = Object.entries(options).filter(([name, value]) => DEFINITION_NAMES.includes(name) && value !== undefined);
  const { limiters } = options;
  if (limiters === undefined) return [Object.fromEntries(own) as unknown as LimiterDefinition<Raw>];
  if (Array.isArray(limiters) && limiters.length > 0 && own.length === 0) return limiters;
  const names = own.map(([name]) => name).join(", ");
  const wrong =
    names !== ""
      ? `${names} beside them; move what is a limiter's into each limiter`
      : `${Array.isArray(limiters) ? "an empty array" : show(limiters)}, expected an array of at least one limiter`;
  throw new TrypemaError("INVALID_OPTION", `limiters: got ${wrong}`);
}

/**
 * A name tells a request's limiters apart, for clients and for `reservationOf`.
 *
 * @throws {TrypemaError} `INVALID_OPTION`
 */
export function checkNames(limiters: readonly { readonly name: string }[]): void {
  const names = limiters.map(({ name }) => name);
  const twice = names.find((name, index) => names.indexOf(name) !== index);
  if (twice === undefined) return;
  throw new TrypemaError(
    "INVALID_OPTION",
    `limiters: got ${show(twice)} for more than one limiter, expected a different name for each`,
  );
}
