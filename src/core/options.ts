import { type Clock, ForwardClock, systemClock } from "./clock.ts";
import { show, TrypemaError } from "./errors.ts";
import type { OnEvent } from "./events.ts";
import type { WindowOptions } from "./types.ts";

/** The options that every provider takes. */
export interface LimiterOptions {
  /** How far back history counts, in ms; at least 1. Default 60 000. */
  readonly windowMs?: number;
  /** Hits in the same cell of this many ms share a bucket; 1 to `windowMs`. Default 100, or a shorter `windowMs`. */
  readonly bucketMs?: number;
  /** Suppressed: accepted usage is never above the capacity times this factor; at least 1. Default 1.5. */
  readonly hardLimitFactor?: number;
  /** Suppressed: a key's factor is computed at most once in this many ms; 0: for each call. Default 100. */
  readonly suppressionCacheMs?: number;
  /**
   * Returns a random number from [0, 1), for suppression. Any other result counts as 0. It must not call a limiter,
   * because it is asked in the middle of a decision. Default `Math.random`.
   */
  readonly random?: () => number;
  /** The time in ms, for tests. Default: the monotonic `performance.now()`. */
  readonly clock?: Clock;
  /** Called with events for operators; see {@link OnEvent}. Default: a warning when a failure policy decides. */
  readonly onEvent?: OnEvent;
}

export const LIMITER_OPTION_NAMES: readonly (keyof LimiterOptions)[] = [
  "windowMs",
  "bucketMs",
  "hardLimitFactor",
  "suppressionCacheMs",
  "random",
  "clock",
  "onEvent",
];

/** {@link LimiterOptions} checked, with the defaults filled in. */
export interface LimiterSettings extends Required<Omit<LimiterOptions, "clock" | "onEvent">> {
  readonly clock: ForwardClock;
}

/**
 * The window that `withWindow` was asked for.
 *
 * @throws {TrypemaError} `INVALID_OPTION`
 */
export function resolveWindow(options: WindowOptions): Required<WindowOptions> {
  checkOptions("window", options, ["windowMs", "bucketMs"]);
  const windowMs = numberOption("windowMs", options.windowMs, Number.NaN, 1, Number.MAX_SAFE_INTEGER);
  if (Number.isNaN(windowMs)) throw new TrypemaError("INVALID_OPTION", "windowMs: expected a number of milliseconds");
  return { windowMs, bucketMs: bucketOption(options.bucketMs, windowMs) };
}

function bucketOption(bucketMs: number | undefined, windowMs: number): number {
  return numberOption("bucketMs", bucketMs, Math.min(100, windowMs), 1, windowMs);
}

/** @throws {TrypemaError} `INVALID_OPTION` unless `ms` is a time to block a key for */
export function checkBlockMs(name: string, ms: number): void {
  if (typeof ms === "number" && ms >= 1 && ms <= Number.MAX_SAFE_INTEGER) return;
  throw new TrypemaError(
    "INVALID_OPTION",
    `${name}: got ${show(ms)}, expected a number of milliseconds from 1 to ${Number.MAX_SAFE_INTEGER}`,
  );
}

/** The largest delay that timers take: beyond it they fire at once. */
const MAX_TIMER_MS = 2 ** 31 - 1;

export function resolveLimiterOptions(options: LimiterOptions): LimiterSettings {
  const windowMs = numberOption("windowMs", options.windowMs, 60_000, 1, Number.MAX_SAFE_INTEGER);
  return {
    windowMs,
    bucketMs: bucketOption(options.bucketMs, windowMs),
    hardLimitFactor: numberOption("hardLimitFactor", options.hardLimitFactor, 1.5, 1, Number.MAX_VALUE),
    suppressionCacheMs: numberOption("suppressionCacheMs", options.suppressionCacheMs, 100, 0, Number.MAX_SAFE_INTEGER),
    random: drawing(functionOption("random", options.random, Math.random)),
    clock: new ForwardClock(functionOption("clock", options.clock, systemClock)),
  };
}

/** @throws {TrypemaError} `INVALID_OPTION` when `options` is no object or has a name that isn't in `known` */
export function checkOptions(owner: string, options: unknown, known: readonly string[], expected = "an object"): void {
  if (typeof options !== "object" || options === null || Array.isArray(options)) {
    throw new TrypemaError("INVALID_OPTION", `${owner}: got ${show(options)}, expected ${expected}`);
  }
  for (const name of Object.keys(options)) {
    if (known.includes(name)) continue;
    throw new TrypemaError("INVALID_OPTION", `${owner}.${name} is not an option; there are ${known.join(", ")}`);
  }
}

export function numberOption(
  name: string,
  value: number | undefined,
  fallback: number,
  least: number,
  most: number,
): number {
  if (value === undefined) return fallback;
  if (typeof value === "number" && value >= least && value <= most) return value;
  throw new TrypemaError("INVALID_OPTION", `${name}: got ${show(value)}, expected a number from ${least} to ${most}`);
}

export function integerOption(
  name: string,
  value: number | undefined,
  fallback: number,
  least: number,
  most: number,
): number {
  const number = numberOption(name, value, fallback, least, most);
  if (Number.isInteger(number)) return number;
  throw new TrypemaError("INVALID_OPTION", `${name}: got ${show(value)}, expected a whole number`);
}

export function timerOption(name: string, value: number | undefined, fallback: number): number {
  return numberOption(name, value, fallback, 1, MAX_TIMER_MS);
}

/** `random`, but 0 in place of a result that is no draw from [0, 1), so that every provider decides the same. */
function drawing(random: () => number): () => number {
  if (random === Math.random) return random;
  return () => {
    const draw: unknown = random();
    return typeof draw === "number" && draw >= 0 && draw < 1 ? draw : 0;
  };
}

function functionOption<F extends () => number>(name: string, value: F | undefined, fallback: F): F {
  if (value === undefined) return fallback;
  if (typeof value === "function") return value;
  throw new TrypemaError("INVALID_OPTION", `${name}: got ${show(value)}, expected a function`);
}
