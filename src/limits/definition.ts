// What a user says about one of several limits, and what can be wrong with it.

import { show, TrypemaError } from "../core/errors.ts";
import type { NamedLimit } from "../core/family.ts";
import { checkBlockMs, checkOptions, numberOption, resolveWindow } from "../core/options.ts";
import type { Rate } from "../core/rate.ts";
import type { WindowOptions } from "../core/types.ts";
import { capacityOf } from "../strategy/capacity.ts";

/**
 * One of several limits: a `limit` (a count) or a `rate`, and a `windowMs`. It may have a `bucketMs`, a `strategy`
 * (`"absolute"`, which is the default, or `"suppressed"`), a `hardLimitFactor`, and, if it is absolute, a `blockMs`:
 * how long a denial blocks the key.
 */
export type LimitDefinition = LimitFields & (LimitOfCount | LimitOfRate) & (AbsoluteLimit | SuppressedLimit);

/** How much one call or one definition allows, as a count. */
interface LimitOfCount {
  /** How many calls fit into a window: a positive integer. */
  readonly limit: number;
  readonly rate?: undefined;
}

/** The same as a rate. */
interface LimitOfRate {
  readonly limit?: undefined;
  /** How many calls fit into a window, as a rate: `perMinute(90)`. */
  readonly rate: Rate;
}

/** What a limit counts, and for how long a denial blocks. */
export interface LimitFields {
  /** How far back history counts, in ms; at least 1. */
  readonly windowMs: number;
  /** Hits in the same cell of this many ms share a bucket; 1 to `windowMs`. Default 100, or a shorter `windowMs`. */
  readonly bucketMs?: number;
  /**
   * Suppressed: accepted usage is never above the capacity times this factor; at least 1. Default: the provider's
   * factor.
   */
  readonly hardLimitFactor?: number;
}

interface AbsoluteLimit {
  /** Default `"absolute"`. */
  readonly strategy?: "absolute";
  /**
   * A call that this limit denies blocks its key for this time, in ms, at least 1. Choose at least the window: a
   * shorter block may end before there is room. Default: no block.
   */
  readonly blockMs?: number;
}

interface SuppressedLimit {
  /** Over the limit a random share of the calls is denied. */
  readonly strategy: "suppressed";
  /** Only an absolute limit has `blockMs`. */
  readonly blockMs?: undefined;
}

/** Another limit for one call, such as that of the caller's plan: a count, `{ limit }` or `{ rate }`. */
export type LimitOverride = number | LimitOfCount | LimitOfRate;

const NAMES = ["limit", "rate", "windowMs", "bucketMs", "strategy", "hardLimitFactor", "blockMs"];

/** All options but how much a limit allows. One that is left out may be undefined. */
export type GivenFields = { readonly [Option in keyof LimitFields]: LimitFields[Option] | undefined } & {
  readonly strategy?: "absolute" | "suppressed" | undefined;
  readonly blockMs?: number | undefined;
};

/** What a limit counts, and for how long a denial blocks, checked. */
export interface ResolvedFields extends NamedLimit {
  /** 0 for no block. */
  readonly blockMs: number;
}

/** A limit whose definition was checked. */
export interface ResolvedLimit extends ResolvedFields {
  readonly rate: Rate;
}

/**
 * @param hardLimitFactor the provider's
 * @throws {TrypemaError} `INVALID_OPTION`, `INVALID_RATE`, `CAPACITY_BELOW_ONE`
 */
export function resolveLimit(name: string, definition: LimitDefinition, hardLimitFactor: number): ResolvedLimit {
  checkName(name);
  checkOptions(`limit ${show(name)}`, definition, NAMES);
  const fields = resolveFields(name, definition, hardLimitFactor);
  return { ...fields, rate: rateFrom(name, definition, fields.windowMs) };
}

/**
 * All that a definition says, but how much it allows.
 *
 * @param hardLimitFactor the provider's
 * @throws {TrypemaError} `INVALID_OPTION`
 */
export function resolveFields(name: string, definition: GivenFields, hardLimitFactor: number): ResolvedFields {
  const { strategy = "absolute", windowMs, bucketMs, blockMs } = definition;
  if (strategy !== "absolute" && strategy !== "suppressed") {
    const got = show(strategy);
    throw new TrypemaError("INVALID_OPTION", `${name}.strategy: got ${got}, expected "absolute" or "suppressed"`);
  }
  if (windowMs === undefined) {
    throw new TrypemaError("INVALID_OPTION", `${name}.windowMs: missing; expected milliseconds, such as minutes(1)`);
  }
  const window = resolveWindow({ windowMs, bucketMs } as WindowOptions);
  if (blockMs !== undefined) {
    checkBlockMs(`${name}.blockMs`, blockMs);
    if (strategy === "suppressed") {
      throw new TrypemaError("INVALID_OPTION", `${name}.blockMs: only an absolute limit can block`);
    }
  }
  return {
    name,
    strategy,
    ...window,
    hardLimitFactor: numberOption("hardLimitFactor", definition.hardLimitFactor, hardLimitFactor, 1, Number.MAX_VALUE),
    blockMs: blockMs ?? 0,
  };
}

/**
 * The rate that a definition or an override gives a limit.
 *
 * @throws {TrypemaError} `INVALID_OPTION`, `INVALID_RATE`, `CAPACITY_BELOW_ONE`
 */
export function rateFrom(name: string, given: LimitOverride, windowMs: number): Rate {
  const { limit, rate } = typeof given === "object" && given !== null ? given : { limit: given, rate: undefined };
  if (rate === undefined && Number.isSafeInteger(limit) && limit! >= 1) return ((limit! * 1_000) / windowMs) as Rate;
  if (rate === undefined || limit !== undefined) {
    const got = `${show(limit)}${rate === undefined ? "" : " beside a rate"}`;
    throw new TrypemaError(
      "INVALID_OPTION",
      `${name}.limit: got ${got}, expected a positive integer, or rate: perMinute(60) in its place`,
    );
  }
  capacityOf(rate, windowMs);
  return rate;
}

/** A name becomes a part of the names of Redis keys, and of HTTP header fields. */
function checkName(name: string): void {
  if (/^[\x21-\x7a]{1,60}$/.test(name)) return;
  throw new TrypemaError(
    "INVALID_OPTION",
    `limit ${show(name)}: a name has 1 to 60 characters of ASCII, without spaces, braces, | and ~`,
  );
}
