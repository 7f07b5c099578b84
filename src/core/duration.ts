// Lengths of time in milliseconds, by the names that people use.

import { show, TrypemaError } from "./errors.ts";

/**
 * The milliseconds of `count` seconds.
 *
 * @param count a positive finite number; fractions are allowed
 * @throws {TrypemaError} `INVALID_OPTION`
 */
export function seconds(count: number): number {
  return inMs("seconds", count, 1_000);
}

/**
 * The milliseconds of `count` minutes.
 *
 * @param count a positive finite number; fractions are allowed
 * @throws {TrypemaError} `INVALID_OPTION`
 */
export function minutes(count: number): number {
  return inMs("minutes", count, 60_000);
}

/**
 * The milliseconds of `count` hours.
 *
 * @param count a positive finite number; fractions are allowed
 * @throws {TrypemaError} `INVALID_OPTION`
 */
export function hours(count: number): number {
  return inMs("hours", count, 3_600_000);
}

/**
 * The milliseconds of `count` days of 24 hours.
 *
 * @param count a positive finite number; fractions are allowed
 * @throws {TrypemaError} `INVALID_OPTION`
 */
export function days(count: number): number {
  return inMs("days", count, 86_400_000);
}

function inMs(unit: string, count: number, unitMs: number): number {
  const ms = typeof count === "number" ? count * unitMs : Number.NaN;
  if (ms > 0 && ms < Number.POSITIVE_INFINITY) return ms;
  throw new TrypemaError("INVALID_OPTION", `${unit}(${show(count)}): expected a positive finite number`);
}
